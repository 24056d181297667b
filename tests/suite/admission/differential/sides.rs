//! The two sides that are compared: the scripts on redis-server, and the state machine in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use flashsale::{
    admission::{
        Admission, AdmissionError, Connections, HotConnection, Keys, MemoryAdmission, RedisAdmission, Scripts,
    },
    domain::{
        EntryId, ProductId,
        sale::{Header, OpenSale, Outbox, SaleMachine},
    },
    runtime::{Clock, SystemClock},
};
use futures_util::future::BoxFuture;
use redis::{RedisError, aio::MultiplexedConnection};

use super::steps::Damage;
use crate::conformance::user;

pub(super) struct Sides {
    pub(super) product: ProductId,
    pub(super) redis: RedisAdmission<Claiming>,
    pub(super) memory: MemoryAdmission,
    connections: Claiming,
    clock: Arc<SetClock>,
    keys: Keys,
}

impl Sides {
    pub(super) fn new(connection: MultiplexedConnection, prefix: &str, product: &str) -> Self {
        let product = ProductId::parse(product).expect("product id");
        let connections = Claiming::new(connection);
        let clock = Arc::new(SetClock(Mutex::new(DateTime::UNIX_EPOCH)));
        Self {
            redis: RedisAdmission::new(connections.clone(), prefix, Scripts::default()),
            memory: MemoryAdmission::new(clock.clone()),
            connections,
            clock,
            keys: Keys::new(prefix, &product),
            product,
        }
    }

    /// The state in memory.
    pub(super) fn snapshot(&self) -> SaleMachine {
        self.memory.with(&self.product, |sale, _| sale.clone())
    }

    /// Sets the clock of the memory to the time that redis-server has: that of its newest outbox
    /// entry, if the last step made one, so that the memory gives the same id.
    pub(super) async fn adopt_time(&self) {
        let entries =
            self.redis.outbox(&self.product, EntryId::FIRST, EntryId::LAST, 1000).await.expect("outbox");
        let last = self.snapshot().outbox.last;
        let now = match entries.last() {
            Some(entry) if entry.id > last => entry.id.admitted_at(),
            _ => self.redis_time().await,
        };
        *self.clock.0.lock().expect("not poisoned") = now;
    }

    pub(super) async fn redis_time(&self) -> DateTime<Utc> {
        let mut connection = self.connections.connection.clone();
        let (seconds, micros): (i64, u32) =
            redis::cmd("TIME").query_async(&mut connection).await.expect("TIME");
        DateTime::from_timestamp(seconds, micros / 1000 * 1_000_000).expect("time")
    }

    /// From now on a server of this identity answers. The memory's identity is fixed, so that its
    /// states are renamed instead.
    pub(super) fn change_server(&self, number: u8) {
        let mut claimed = self.connections.server.lock().expect("not poisoned");
        let before = std::mem::replace(&mut *claimed, name(number));
        self.memory.with(&self.product, |sale, _| {
            let Header::Open(OpenSale { server, .. }) = &mut sale.header else { return };
            if server == MEMORY {
                *server = before;
            }
            if *server == name(number) {
                MEMORY.clone_into(server);
            }
        });
    }

    pub(super) async fn damage(&self, damage: &Damage) {
        let Keys { sale, free, buyers, outbox, dead } = &self.keys;
        let mut command = redis::cmd(if matches!(damage, Damage::Buyer(_)) { "HDEL" } else { "DEL" });
        match damage {
            Damage::Sale => command.arg(sale),
            Damage::Free => command.arg(free),
            Damage::Buyers => command.arg(buyers),
            Damage::Buyer(number) => command.arg(buyers).arg(user(number).as_str()),
            Damage::Outbox => command.arg(outbox),
            Damage::Dead => command.arg(dead),
            Damage::Next(next) if matches!(self.snapshot().header, Header::Open(_)) => {
                command = redis::cmd("HSET");
                command.arg(sale).arg("next").arg(next)
            }
            Damage::Next(_) => return,
        };
        command.exec_async(&mut self.connections.connection.clone()).await.expect("damage");
        self.memory.with(&self.product, |sale, _| match damage {
            Damage::Sale => sale.header = Header::Absent,
            Damage::Free => sale.free = VecDeque::new(),
            Damage::Buyers => sale.buyers.clear(),
            Damage::Buyer(number) => drop(sale.buyers.remove(&user(number))),
            Damage::Outbox => sale.outbox = Outbox::default(),
            Damage::Dead => sale.dead.clear(),
            Damage::Next(next) => {
                if let Header::Open(sale) = &mut sale.header {
                    sale.next = u32::from(*next);
                }
            }
        });
    }
}

/// The identity that `MemoryAdmission` writes into its states.
const MEMORY: &str = "memory";

fn name(server: u8) -> String {
    format!("server-{server}")
}

#[derive(Debug)]
struct SetClock(Mutex<DateTime<Utc>>);

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("not poisoned")
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

/// Connections to one real server that claim an identity of the test's choice.
#[derive(Clone)]
pub(in crate::admission) struct Claiming {
    connection: MultiplexedConnection,
    server: Arc<Mutex<String>>,
}

impl Claiming {
    pub(in crate::admission) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, server: Arc::new(Mutex::new(name(0))) }
    }
}

pub(in crate::admission) struct Claimed {
    connection: MultiplexedConnection,
    server: String,
}

impl Connections for Claiming {
    type Hot = Claimed;
    type Pooled = MultiplexedConnection;

    fn hot(&self) -> Result<Claimed, AdmissionError> {
        let server = self.server.lock().expect("not poisoned").clone();
        Ok(Claimed { connection: self.connection.clone(), server })
    }

    async fn pooled(&self) -> Result<MultiplexedConnection, AdmissionError> {
        Ok(self.connection.clone())
    }

    fn on_this_thread(&self) -> Self {
        self.clone()
    }
}

impl HotConnection for Claimed {
    type Connection = MultiplexedConnection;

    fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn failed(&self, error: RedisError) -> AdmissionError {
        error.into()
    }
}

//! The two sides that are compared: the scripts on redis-server, and the state machine in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use flashsale::{
    admission::{
        AdmissionError, Connections, InUse, Keys, MemoryAdmission, RedisAdmission, Scripts, Settlement,
    },
    domain::{
        EntryId, ProductId, SystemId,
        sale::{Header, OpenSale, Outbox, SaleMachine},
    },
    runtime::{Clock, SystemClock},
};
use futures_util::future::BoxFuture;
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::sync::watch;

use super::steps::Damage;
use crate::conformance::user;

pub(super) struct Sides {
    pub(super) product: ProductId,
    pub(super) redis: RedisAdmission<Claiming>,
    pub(super) memory: MemoryAdmission,
    connections: Claiming,
    system: watch::Sender<Option<SystemId>>,
    clock: Arc<SetClock>,
    keys: Keys,
}

impl Sides {
    pub(super) fn new(connections: Claiming, prefix: &str, product: &str) -> Self {
        let product = ProductId::parse(product).expect("product id");
        let clock = Arc::new(SetClock(Mutex::new(DateTime::UNIX_EPOCH)));
        let (system, known) = watch::channel(None);
        let scripts = Scripts::default();
        Self {
            redis: RedisAdmission::of_system(connections.clone(), prefix, scripts, known.clone()),
            memory: MemoryAdmission::of_system(clock.clone(), known),
            connections,
            system,
            clock,
            keys: Keys::new(prefix, &product),
            product,
        }
    }

    /// From now on a process of this system goes on. It has seen what the one before has.
    pub(super) fn change_system(&self, number: u8) {
        let id = SystemId(uuid::Uuid::from_u128(number.into()));
        self.system.send_replace((number > 0).then_some(id));
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

    /// From now on the server has another identity, as after a demotion and a promotion. The
    /// memory's identity is fixed, so that its states are renamed instead.
    pub(super) async fn change_server(&self) {
        let mut connection = self.connections.connection.clone();
        redis::cmd("DEBUG").arg("CHANGE-REPL-ID").exec_async(&mut connection).await.expect("DEBUG");
        *self.connections.server.lock().expect("not poisoned") = identity(&mut connection).await;
        self.memory.with(&self.product, |sale, _| {
            if let Header::Open(OpenSale { server, .. }) = &mut sale.header
                && server == MEMORY
            {
                "former".clone_into(server);
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

async fn identity(connection: &mut MultiplexedConnection) -> Arc<str> {
    let info: redis::InfoDict = redis::cmd("INFO").query_async(connection).await.expect("INFO");
    let text = |name| info.get::<String>(name).expect("a line of INFO");
    format!("{} {}", text("run_id"), text("master_replid")).into()
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

/// Connections to one server, of which all that is known is known at once.
#[derive(Clone)]
pub(in crate::admission) struct Claiming {
    connection: MultiplexedConnection,
    server: Arc<Mutex<Arc<str>>>,
}

impl Claiming {
    pub(in crate::admission) async fn new(mut connection: MultiplexedConnection) -> Self {
        let server = identity(&mut connection).await;
        Self { connection, server: Arc::new(Mutex::new(server)) }
    }
}

impl Connections for Claiming {
    type Connection = MultiplexedConnection;

    fn get(&self) -> Result<InUse<MultiplexedConnection>, AdmissionError> {
        let server = self.server.lock().expect("not poisoned").clone();
        Ok(InUse { connection: self.connection.clone(), server, generation: 0 })
    }

    fn failed(&self, _link: &InUse<MultiplexedConnection>, error: RedisError) -> AdmissionError {
        error.into()
    }

    fn replace(&self, _rolled_back: &InUse<MultiplexedConnection>) {}

    fn on_this_thread(&self) -> Self {
        self.clone()
    }
}

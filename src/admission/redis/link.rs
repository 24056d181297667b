//! The supervised connections on which purchases are admitted and found: one of each server
//! thread's own, and a few shared ones for other threads and for the time in which a thread's own
//! is down.
//!
//! A multiplexed connection pipelines by itself and needs no check-out, but never reconnects. Each
//! has a supervisor, which replaces it when it breaks, and sends PING every second, so that a dead
//! connection that reports no error (a lost route, a stopped server) is noticed within
//! [`WATCH_INTERVAL`] + the response timeout.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{sync::Notify, task::JoinSet};

use super::{HotConnection, error::outage};
use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::{Backoff, Runtime};

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// A working connection, and the identity of its server.
#[derive(Clone)]
struct Live {
    /// Counts the connections of a slot.
    generation: u64,
    connection: MultiplexedConnection,
    /// `run_id` of the server at the time of connecting. A server that restarted has another one:
    /// the state that it still holds may be older than the one that it answered from, so that
    /// nothing is sold from it before a rebuild.
    server: Arc<str>,
}

/// The shared connections. Dropping the last clone ends their supervisors.
#[derive(Clone)]
pub(super) struct Link {
    slots: Arc<[Arc<Slot>]>,
    /// Used while none of `slots` is connected.
    fallback: Option<Arc<Link>>,
    server: Arc<Server>,
    _supervisors: Arc<JoinSet<()>>,
}

/// What connections are made to, and how.
struct Server {
    /// Connections that work, of all threads: Redis counts as down when there is none.
    live: AtomicUsize,
    client: Client,
    config: AsyncConnectionConfig,
    dependency: Dependency,
    runtime: Runtime,
    /// Spreads the threads over the slots.
    next_slot: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    live: RwLock<Option<Live>>,
    /// The latest connection that broke in use.
    broken_generation: AtomicU64,
    broken: Notify,
}

/// A connection in use.
pub struct Use {
    live: Live,
    slot: Arc<Slot>,
}

impl HotConnection for Use {
    type Connection = MultiplexedConnection;

    fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.live.connection
    }

    fn server(&self) -> &str {
        &self.live.server
    }

    fn failed(&self, error: RedisError) -> AdmissionError {
        if error.is_io_error() && !error.is_timeout() {
            self.slot.broken_generation.fetch_max(self.live.generation, Ordering::Relaxed);
            self.slot.broken.notify_one();
        }
        error.into()
    }
}

impl Link {
    /// Starts `connections` supervisors, which connect in the background.
    pub(super) fn start(
        client: Client,
        connections: usize,
        config: AsyncConnectionConfig,
        dependency: Dependency,
        runtime: Runtime,
    ) -> Self {
        let (live, next_slot) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self::to(Arc::new(Server { live, client, config, dependency, runtime, next_slot }), connections, None)
    }

    /// A connection that the calling runtime serves, with the shared ones as its fallback.
    pub(super) fn on_this_thread(&self) -> Self {
        Self::to(self.server.clone(), 1, Some(Arc::new(self.clone())))
    }

    fn to(server: Arc<Server>, connections: usize, fallback: Option<Arc<Self>>) -> Self {
        let slots: Arc<[Arc<Slot>]> = (0..connections.max(1)).map(|_| Arc::new(Slot::default())).collect();
        let mut supervisors = JoinSet::new();
        for slot in slots.iter() {
            let supervising = supervise(slot.clone(), server.clone());
            supervisors.spawn(server.runtime.tasks.supervised("a connection to Redis", supervising));
        }
        Self { slots, fallback, server, _supervisors: Arc::new(supervisors) }
    }

    /// A working connection: the next slot's, or that of another one while it is not connected.
    pub(super) fn get(&self) -> Result<Use, AdmissionError> {
        let first = match self.slots.len() {
            1 => 0,
            several => self.server.next_slot.fetch_add(1, Ordering::Relaxed) % several,
        };
        let (before, from) = self.slots.split_at(first);
        let connected =
            from.iter().chain(before).find_map(|slot| Some(Use { live: slot.live()?, slot: slot.clone() }));
        match (connected, &self.fallback) {
            (Some(connected), _) => Ok(connected),
            (None, Some(fallback)) => fallback.get(),
            (None, None) => Err(AdmissionError::Unavailable("not connected".into())),
        }
    }
}

impl Slot {
    fn live(&self) -> Option<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn supervise(slot: Arc<Slot>, server: Arc<Server>) {
    let Server { live: working, client, config, dependency, runtime, .. } = &*server;
    let mut backoff = Backoff::of_reconnects(runtime);
    for generation in 1.. {
        match connect(client, config, generation).await {
            Ok(live) => {
                let connected = runtime.instant();
                set(&slot, Some(live.clone()));
                working.fetch_add(1, Ordering::Relaxed);
                dependency.up();
                let (error, lasted) =
                    (watch(&slot, live, dependency, runtime).await, runtime.instant() - connected);
                set(&slot, None);
                // A connection that breaks at once is no success.
                if lasted > WATCH_INTERVAL {
                    backoff.reset();
                }
                if working.fetch_sub(1, Ordering::Relaxed) == 1 {
                    dependency.down(outage(&error), error);
                }
            }
            Err(error) if working.load(Ordering::Relaxed) == 0 => dependency.down(outage(&error), error),
            Err(error) => tracing::debug!(%error, "one of several connections to Redis cannot be made"),
        }
        backoff.wait().await;
    }
}

fn set(slot: &Slot, live: Option<Live>) {
    *slot.live.write().unwrap_or_else(PoisonError::into_inner) = live;
}

async fn connect(client: &Client, config: &AsyncConnectionConfig, generation: u64) -> RedisResult<Live> {
    let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
    // A server that is still loading its data answers INFO, but refuses PING.
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await?;
    warn_of_unsafe_settings(&info);
    // Without `run_id`, one incarnation of the server could not be told from another.
    let unknown = || RedisError::from((redis::ErrorKind::UnexpectedReturnType, "INFO has no run_id"));
    let server = info.get::<String>("run_id").filter(|id| !id.is_empty()).ok_or_else(unknown)?;
    Ok(Live { generation, connection, server: server.into() })
}

/// Settings under which Redis would lose winners by itself.
fn warn_of_unsafe_settings(info: &redis::InfoDict) {
    if let Some(policy) = info.get::<String>("maxmemory_policy").filter(|policy| policy != "noeviction") {
        tracing::warn!("Redis may evict winners: maxmemory-policy is {policy}, set it to noeviction");
    }
    if info.get::<u8>("aof_enabled") == Some(0) {
        tracing::warn!(
            "Redis keeps no AOF (appendonly no): durability \"redis\" does not survive its restart"
        );
    }
}

/// Returns when the connection no longer works, with the reason.
async fn watch(slot: &Slot, live: Live, dependency: &Dependency, runtime: &Runtime) -> RedisError {
    let mut connection = live.connection;
    loop {
        tokio::select! {
            () = slot.broken.notified() => {}
            () = runtime.sleep(WATCH_INTERVAL) => {}
        }
        // A failure on an earlier connection does not concern this one.
        if slot.broken_generation.load(Ordering::Relaxed) >= live.generation {
            return RedisError::from((redis::ErrorKind::Io, "the connection broke"));
        }
        if let Err(error) = redis::cmd("PING").query_async::<()>(&mut connection).await {
            return error;
        }
        // Another connection that ended while this one began may have reported Redis as down since.
        dependency.up();
    }
}

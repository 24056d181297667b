//! The connections to Redis on which purchases are admitted and looked up: one of each server thread's own and, while
//! that is away and for everything else that must not wait for a check-out, a few shared ones. All are multiplexed, and
//! each is under a supervisor.
//!
//! A multiplexed connection pipelines by itself and needs no check-out, but never reconnects. The supervisor
//! replaces it when it breaks, and asks for a PONG every second so that one that is silently dead (a lost
//! route, a stopped server) is noticed within [`WATCH_INTERVAL`] + the response time-out.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{sync::Notify, task::JoinSet};

use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::{Backoff, Runtime};

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// A working connection, and which run of the server it leads to.
#[derive(Clone)]
pub(super) struct Live {
    /// The how many-th connection of its slot it is.
    generation: u64,
    pub(super) connection: MultiplexedConnection,
    /// `run_id` of the server at the time of connecting. A server that restarted has another one: whatever it
    /// still holds may be older than what it had answered, so it must not sell from it before a rebuild.
    pub(super) server: Arc<str>,
}

/// The shared connections. Dropping the last clone ends their supervisors.
#[derive(Clone)]
pub(super) struct Link {
    slots: Arc<[Arc<Slot>]>,
    /// Used while none of these is connected.
    fallback: Option<Arc<Link>>,
    server: Arc<Server>,
    _supervisors: Arc<JoinSet<()>>,
}

/// What connections are made to, and how.
struct Server {
    /// Connections that work, of all threads: it is away when there is none.
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

/// A connection in use, with the means to report it broken.
pub(super) struct Use<'link> {
    pub(super) live: Live,
    slot: &'link Slot,
}

impl Use<'_> {
    /// Turns a driver's error into ours, and has the connection replaced if it is to blame.
    pub(super) fn failed(&self, error: RedisError) -> AdmissionError {
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

    /// A connection of its own for the runtime that calls this.
    pub(super) fn on_this_thread(&self) -> Self {
        Self::to(self.server.clone(), 1, Some(Arc::new(self.clone())))
    }

    fn to(server: Arc<Server>, connections: usize, fallback: Option<Arc<Self>>) -> Self {
        let slots: Arc<[Arc<Slot>]> = (0..connections.max(1)).map(|_| Arc::new(Slot::default())).collect();
        let mut supervisors = JoinSet::new();
        for slot in slots.iter() {
            supervisors.spawn(supervise(slot.clone(), server.clone()));
        }
        Self { slots, fallback, server, _supervisors: Arc::new(supervisors) }
    }

    /// A working connection: the next slot's, or that of another one while it is not connected.
    pub(super) fn get(&self) -> Result<Use<'_>, AdmissionError> {
        let first = match self.slots.len() {
            1 => 0,
            several => self.server.next_slot.fetch_add(1, Ordering::Relaxed) % several,
        };
        let (before, from) = self.slots.split_at(first);
        let connected = from.iter().chain(before).find_map(|slot| Some(Use { live: slot.live()?, slot }));
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
                // One that breaks at once is no success.
                if lasted > WATCH_INTERVAL {
                    backoff.reset();
                }
                if working.fetch_sub(1, Ordering::Relaxed) == 1 {
                    dependency.down(error);
                }
            }
            Err(error) if working.load(Ordering::Relaxed) == 0 => dependency.down(error),
            Err(error) => tracing::debug!(%error, "one of several connections to Redis is not there"),
        }
        backoff.wait().await;
    }
}

fn set(slot: &Slot, live: Option<Live>) {
    *slot.live.write().unwrap_or_else(PoisonError::into_inner) = live;
}

async fn connect(client: &Client, config: &AsyncConnectionConfig, generation: u64) -> RedisResult<Live> {
    let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
    // A server that is still loading its data refuses INFO's neighbours but not INFO; PING tells.
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await?;
    warn_of_unsafe_settings(&info);
    // Without it, one incarnation of the server could not be told from another.
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
        tracing::warn!("Redis keeps no AOF (appendonly no): durability \"redis\" won't survive its restart");
    }
}

/// Returns when the connection is of no use any more, with the reason.
async fn watch(slot: &Slot, live: Live, dependency: &Dependency, runtime: &Runtime) -> String {
    let mut connection = live.connection;
    loop {
        tokio::select! {
            () = slot.broken.notified() => {}
            () = runtime.sleep(WATCH_INTERVAL) => {}
        }
        // A failure on an earlier connection says nothing of this one.
        if slot.broken_generation.load(Ordering::Relaxed) >= live.generation {
            return "the connection broke".to_owned();
        }
        if let Err(error) = redis::cmd("PING").query_async::<()>(&mut connection).await {
            return error.to_string();
        }
        // Another connection that ended while this one began may have called Redis down since.
        dependency.up();
    }
}

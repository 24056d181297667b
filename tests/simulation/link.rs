//! A process's connections to the simulated Redis, kept as the real program keeps its own: supervised shared ones for
//! the hot path, and one that is checked by PING whenever it is taken for everything else.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flashsale::{
    admission::{AdmissionError, Connections, HotConnection},
    runtime::{Backoff, Runtime},
};
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike};
use tokio::{sync::Notify, time::sleep};

use crate::{
    executor::Pid,
    redis::{SimConnection, SimRedis},
    sim::Sim,
};

const SLOTS: usize = 2;
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct SimLink {
    redis: SimRedis,
    slots: Arc<[Arc<Slot>]>,
    next_slot: Arc<AtomicUsize>,
    pooled: Arc<Mutex<Option<SimConnection>>>,
}

#[derive(Default)]
pub(crate) struct Slot {
    live: Mutex<Option<Live>>,
    broken_generation: AtomicUsize,
    broken: Notify,
}

#[derive(Clone)]
struct Live {
    generation: usize,
    connection: SimConnection,
    server: Arc<str>,
}

pub(crate) struct Hot {
    live: Live,
    slot: Arc<Slot>,
}

impl SimLink {
    /// Starts connecting in the background, as tasks of the process.
    pub(crate) fn start(sim: &Sim, redis: &SimRedis, pid: Pid, runtime: &Runtime) -> Self {
        let slots: Arc<[Arc<Slot>]> = (0..SLOTS).map(|_| Arc::default()).collect();
        for slot in slots.iter() {
            let supervising = supervise(sim.clone(), pid, slot.clone(), redis.clone(), runtime.clone());
            sim.executor.spawn(pid, supervising);
        }
        Self { redis: redis.clone(), slots, next_slot: Arc::default(), pooled: Arc::default() }
    }
}

/// Any connection that works at present, for a mutant.
impl ConnectionLike for SimLink {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut hot = self.hot().map_err(|_none| io::Error::from(io::ErrorKind::NotConnected))?;
            hot.connection().req_packed_command(command).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut hot = self.hot().map_err(|_none| io::Error::from(io::ErrorKind::NotConnected))?;
            hot.connection().req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections for SimLink {
    type Hot = Hot;
    type Pooled = SimConnection;

    fn hot(&self) -> Result<Hot, AdmissionError> {
        let first = self.next_slot.fetch_add(1, Ordering::Relaxed);
        let slots = (0..SLOTS).map(|number| &self.slots[(first + number) % SLOTS]);
        let mut live = slots.filter_map(|slot| Some(Hot { live: slot.lock().clone()?, slot: slot.clone() }));
        live.next().ok_or_else(|| AdmissionError::Unavailable("not connected".into()))
    }

    async fn pooled(&self) -> Result<SimConnection, AdmissionError> {
        let kept = self.pooled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(mut kept) = kept
            && redis::cmd("PING").query_async::<()>(&mut kept).await.is_ok()
        {
            return Ok(kept);
        }
        let connecting = tokio::time::timeout(RESPONSE_TIMEOUT, self.redis.connect()).await;
        let connected = connecting.map_err(|_elapsed| AdmissionError::Unavailable("time-out".into()))?;
        let connected = connected.map_err(|error| AdmissionError::Unavailable(error.into()))?;
        let connection = connected.with_response_timeout(RESPONSE_TIMEOUT);
        *self.pooled.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    fn on_this_thread(&self) -> Self {
        self.clone()
    }
}

impl HotConnection for Hot {
    type Connection = SimConnection;

    fn connection(&mut self) -> &mut SimConnection {
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

async fn supervise(sim: Sim, pid: Pid, slot: Arc<Slot>, redis: SimRedis, runtime: Runtime) {
    let mut backoff = Backoff::of_reconnects(&runtime);
    for generation in 1.. {
        if let Ok(Ok(live)) = tokio::time::timeout(RESPONSE_TIMEOUT, connect(&redis, generation)).await {
            sim.note(pid, format_args!("connects to Redis server {}", live.connection.server()));
            *slot.lock() = Some(live.clone());
            let connected = runtime.instant();
            watch(&slot, live).await;
            *slot.lock() = None;
            if runtime.instant() - connected > WATCH_INTERVAL {
                backoff.reset();
            }
        }
        backoff.wait().await;
    }
}

async fn connect(redis: &SimRedis, generation: usize) -> RedisResult<Live> {
    let mut connection = redis.connect().await?.with_response_timeout(RESPONSE_TIMEOUT);
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await?;
    let server = info.get::<String>("run_id").unwrap_or_default();
    Ok(Live { generation, connection, server: server.into() })
}

/// Returns when the connection no longer works.
async fn watch(slot: &Slot, live: Live) {
    let mut connection = live.connection;
    loop {
        tokio::select! {
            biased;
            () = slot.broken.notified() => {}
            () = sleep(WATCH_INTERVAL) => {}
        }
        if slot.broken_generation.load(Ordering::Relaxed) >= live.generation
            || redis::cmd("PING").query_async::<()>(&mut connection).await.is_err()
        {
            return;
        }
    }
}

//! The supervised connections to Redis: one of each server thread's own, for purchase attempts and
//! queries, and a few shared ones for everything else and for the time in which a thread's own is
//! down.
//!
//! A multiplexed connection pipelines by itself and needs no check-out, but never reconnects. Each
//! has a supervisor, which replaces it when it breaks, and checks its server every second and when
//! a command failed: a dead connection that reports no error (a lost route, a stopped server) is
//! noticed within [`WATCH_INTERVAL`] + the response timeout, a demoted server at its first refusal.
//!
//! All connections of a process lead to one server. What shows that the address leads elsewhere by
//! now (a server that is unfit, a state that was rolled back, a new connection that finds another
//! server) replaces them all.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::RedisError;
use tokio::sync::watch;

use super::{
    Connections, Connector, InUse,
    error::{is_of_another_system, outage, refuses_writes},
    fitness::{self, Unfit},
};
use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::{Backoff, Runtime};

const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Pauses between tries to connect: short, since a failover is over within seconds.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(500);
/// A sale that belongs to another system is met at each read of it, several times a second. So long
/// after the last time the prefix counts as this system's.
const OTHER_SYSTEM_FOR: Duration = Duration::from_secs(3);
/// The key of a probe is gone at once.
const PROBE_EXPIRY_MS: u64 = 1;

/// Dropping the last clone ends the supervisors.
pub struct Link<C: Connector> {
    slots: Arc<[Arc<Slot<C>>]>,
    /// Used while none of `slots` is connected.
    fallback: Option<Arc<Self>>,
    server: Arc<Server<C>>,
    supervisors: Arc<[C::Task]>,
}

type Slot<C> = RwLock<Option<InUse<<C as Connector>::Connection>>>;

/// What the connections of all threads share.
struct Server<C> {
    connector: C,
    dependency: Dependency,
    runtime: Runtime,
    /// The key that is written to find out whether Redis takes writes.
    probe_key: String,
    /// Redis has refused a write, or was not connected, and none has succeeded since.
    is_suspect: AtomicBool,
    /// When a sale of another system was met.
    other_system_at: Mutex<Option<Instant>>,
    /// Connections that work: Redis counts as down when there is none.
    live: AtomicUsize,
    /// The identity that the latest check has found.
    identity: Mutex<Option<Arc<str>>>,
    /// How often all connections were replaced. Each notification makes the supervisors check.
    generation: watch::Sender<u64>,
    /// Spreads the threads over the slots.
    next_slot: AtomicUsize,
}

impl<C: Connector> Link<C> {
    /// Starts `connections` supervisors, which connect in the background. `prefix`: of all keys.
    pub fn start(
        connector: C,
        connections: usize,
        prefix: &str,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Self {
        let server = Server {
            connector,
            dependency: dependency.clone(),
            runtime: runtime.clone(),
            probe_key: format!("{prefix}:probe"),
            is_suspect: AtomicBool::new(true),
            other_system_at: Mutex::default(),
            live: AtomicUsize::new(0),
            identity: Mutex::default(),
            generation: watch::Sender::new(0),
            next_slot: AtomicUsize::new(0),
        };
        Self::to(Arc::new(server), connections, None)
    }

    fn to(server: Arc<Server<C>>, connections: usize, fallback: Option<Arc<Self>>) -> Self {
        let slots: Arc<[_]> = (0..connections.max(1)).map(|_| Arc::new(Slot::<C>::default())).collect();
        let supervise = |slot: &Arc<Slot<C>>| {
            let supervising = supervise::<C>(slot.clone(), server.clone());
            let supervising = server.runtime.tasks.supervised("a connection to Redis", supervising);
            server.connector.spawn(Box::pin(supervising))
        };
        let supervisors = slots.iter().map(supervise).collect();
        Self { slots, fallback, server, supervisors }
    }
}

impl<C: Connector> Clone for Link<C> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            fallback: self.fallback.clone(),
            server: self.server.clone(),
            supervisors: self.supervisors.clone(),
        }
    }
}

impl<C: Connector> Connections for Link<C> {
    type Connection = C::Connection;

    /// The next slot's connection, or that of another one while it is not connected.
    fn get(&self) -> Result<InUse<C::Connection>, AdmissionError> {
        let first = match self.slots.len() {
            1 => 0,
            several => self.server.next_slot.fetch_add(1, Ordering::Relaxed) % several,
        };
        let (before, from) = self.slots.split_at(first);
        let generation = *self.server.generation.borrow();
        let live = |slot: &Arc<Slot<C>>| {
            let live = slot.read().unwrap_or_else(PoisonError::into_inner).clone();
            live.filter(|live| live.generation >= generation)
        };
        match (from.iter().chain(before).find_map(live), &self.fallback) {
            (Some(connected), _) => Ok(connected),
            (None, Some(fallback)) => fallback.get(),
            (None, None) => Err(AdmissionError::Unavailable("not connected".into())),
        }
    }

    fn failed(&self, link: &InUse<C::Connection>, error: RedisError) -> AdmissionError {
        let server = &self.server;
        if link.generation < *server.generation.borrow() {
            // A late answer on a connection that was replaced: it says nothing of the present one.
        } else if is_of_another_system(&error) {
            server.met_another_system(&error);
        } else if refuses_writes(&error) {
            if !server.is_suspect.swap(true, Ordering::Relaxed) {
                server.dependency.down(outage(&error), &error);
                server.check_all();
            }
        } else if error.is_io_error() && !error.is_timeout() {
            server.check_all();
        }
        error.into()
    }

    fn replace(&self, rolled_back: &InUse<C::Connection>) {
        self.server.replace_all(rolled_back.generation, &Unfit::RolledBack);
    }

    /// With the shared connections as its fallback.
    fn on_this_thread(&self) -> Self {
        Self::to(self.server.clone(), 1, Some(Arc::new(self.clone())))
    }
}

async fn supervise<C: Connector>(slot: Arc<Slot<C>>, server: Arc<Server<C>>) {
    let set = |live| *slot.write().unwrap_or_else(PoisonError::into_inner) = live;
    let mut backoff = Backoff::new(&server.runtime, RECONNECT_MIN, RECONNECT_MAX);
    let mut orders = server.generation.subscribe();
    loop {
        let generation = *orders.borrow_and_update();
        match server.connect(generation).await {
            Ok(live) => {
                let connected = server.runtime.instant();
                server.live.fetch_add(1, Ordering::Relaxed);
                set(Some(live.clone()));
                let error = server.watch(live, &mut orders, |live| set(Some(live))).await;
                set(None);
                // A connection that breaks at once is no success.
                if server.runtime.instant() - connected > WATCH_INTERVAL {
                    backoff.reset();
                }
                if server.live.fetch_sub(1, Ordering::Relaxed) == 1 {
                    server.is_suspect.store(true, Ordering::Relaxed);
                    server.dependency.down(error.outage(), error);
                }
            }
            Err(error) if server.live.load(Ordering::Relaxed) == 0 => {
                server.dependency.down(error.outage(), error);
            }
            Err(error) => tracing::debug!(%error, "one of several connections to Redis cannot be made"),
        }
        backoff.wait().await;
    }
}

impl<C: Connector> Server<C> {
    async fn connect(&self, generation: u64) -> Result<InUse<C::Connection>, Unfit> {
        let mut connection = self.connector.connect().await?;
        let fit = fitness::check(&mut connection).await?;
        if !fit.keeps_aof {
            tracing::warn!(
                "Redis keeps no AOF (appendonly no): durability \"redis\" does not survive its restart"
            );
        }
        let leads_elsewhere = self.note_identity(&fit.identity) && self.live.load(Ordering::Relaxed) > 0;
        let replaced = leads_elsewhere && self.replace_all(generation, &Unfit::LeadsElsewhere);
        self.confirm(&mut connection).await;
        Ok(InUse { connection, server: fit.identity, generation: generation + u64::from(replaced) })
    }

    /// Returns when the connection is to be replaced, with the reason. `changed` is told of another
    /// identity of the same server.
    async fn watch(
        &self,
        mut live: InUse<C::Connection>,
        orders: &mut watch::Receiver<u64>,
        changed: impl Fn(InUse<C::Connection>),
    ) -> Unfit {
        loop {
            tokio::select! {
                biased;
                // The sender lives as long as `self`.
                _ = orders.changed() => {}
                () = self.runtime.sleep(WATCH_INTERVAL) => {}
            }
            if *orders.borrow_and_update() > live.generation {
                return Unfit::Replaced;
            }
            match fitness::check(&mut live.connection).await {
                Ok(fit) if fit.identity == live.server => {}
                Ok(fit) => {
                    self.note_identity(&fit.identity);
                    live.server = fit.identity;
                    changed(live.clone());
                }
                Err(unfit) => {
                    if !matches!(unfit, Unfit::Redis(_)) {
                        self.replace_all(live.generation, &unfit);
                    }
                    return unfit;
                }
            }
            self.confirm(&mut live.connection).await;
        }
    }

    /// Whether this is another identity than the one before.
    fn note_identity(&self, identity: &Arc<str>) -> bool {
        let mut noted = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        noted.replace(identity.clone()).is_some_and(|before| before != *identity)
    }

    /// Redis counts as up while it takes writes.
    async fn confirm(&self, connection: &mut C::Connection) {
        if self.is_suspect.load(Ordering::Relaxed) {
            let mut probe = redis::cmd("SET");
            probe.arg(&self.probe_key).arg(1).arg("PX").arg(PROBE_EXPIRY_MS);
            if let Err(error) = probe.exec_async(connection).await {
                return self.dependency.down(outage(&error), error);
            }
            self.is_suspect.store(false, Ordering::Relaxed);
        }
        if !self.is_of_another_system() {
            self.dependency.up();
        }
    }

    fn met_another_system(&self, error: &RedisError) {
        *self.other_system_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.runtime.instant());
        self.dependency.down(outage(error), error);
    }

    fn is_of_another_system(&self) -> bool {
        let met_at = *self.other_system_at.lock().unwrap_or_else(PoisonError::into_inner);
        met_at.is_some_and(|at| self.runtime.instant() - at < OTHER_SYSTEM_FOR)
    }

    fn check_all(&self) {
        self.generation.send_modify(|_unchanged| {});
    }

    /// Replaces all connections, unless those of this generation were replaced already: one cause
    /// is one outage. Whether they are replaced.
    fn replace_all(&self, generation: u64, reason: &Unfit) -> bool {
        let is_first = self.generation.send_if_modified(|current| {
            let is_first = *current == generation;
            *current += u64::from(is_first);
            is_first
        });
        if is_first {
            self.is_suspect.store(true, Ordering::Relaxed);
            self.dependency.down(reason.outage(), reason);
        }
        is_first
    }
}

//! What the connections of a process know of the server that they lead to: whether it is the one
//! before, whether it takes writes, and whether it may be sold from.
//!
//! All connections of a process lead to one server. What shows that the address leads elsewhere by
//! now (a server that is unfit, a state that was rolled back, a new connection that finds another
//! server) replaces them all.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::RedisError;
use tokio::sync::watch;

use super::{
    Connector, InUse,
    error::{is_of_another_system, outage, refuses_writes},
    fitness::{self, Unfit},
};
use crate::observability::Dependency;
use crate::runtime::Runtime;

pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// A sale that belongs to another system is met at each read of it, several times a second. So long
/// after the last time the prefix counts as this system's.
const OTHER_SYSTEM_FOR: Duration = Duration::from_secs(3);
/// The key of a probe is gone at once.
const PROBE_EXPIRY_MS: u64 = 1;

/// What the connections of all threads share.
pub(super) struct Server<C> {
    pub(super) connector: C,
    dependency: Dependency,
    pub(super) runtime: Runtime,
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
    pub(super) generation: watch::Sender<u64>,
    /// Spreads the threads over the slots.
    pub(super) next_slot: AtomicUsize,
}

impl<C: Connector> Server<C> {
    pub(super) fn new(connector: C, prefix: &str, dependency: &Dependency, runtime: &Runtime) -> Self {
        Self {
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
        }
    }

    pub(super) async fn connect(&self, generation: u64) -> Result<InUse<C::Connection>, Unfit> {
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
    pub(super) async fn watch(
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

    pub(super) fn connected(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self, error: &Unfit) {
        if self.live.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.is_suspect.store(true, Ordering::Relaxed);
            self.dependency.down(error.outage(), error);
        }
    }

    pub(super) fn not_connected(&self, error: &Unfit) {
        if self.live.load(Ordering::Relaxed) == 0 {
            self.dependency.down(error.outage(), error);
        } else {
            tracing::debug!(%error, "one of several connections to Redis cannot be made");
        }
    }

    /// A command has failed on a connection of this generation.
    pub(super) fn failed(&self, generation: u64, error: &RedisError) {
        if generation < *self.generation.borrow() {
            // A late answer on a connection that was replaced: it says nothing of the present one.
        } else if is_of_another_system(error) {
            self.met_another_system(error);
        } else if refuses_writes(error) {
            if !self.is_suspect.swap(true, Ordering::Relaxed) {
                self.dependency.down(outage(error), error);
                self.check_all();
            }
        } else if error.is_io_error() && !error.is_timeout() {
            self.check_all();
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
    pub(super) fn replace_all(&self, generation: u64, reason: &Unfit) -> bool {
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

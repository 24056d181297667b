//! The supervised connections to Redis: one of each server thread's own, for purchase attempts and
//! queries, and a few shared ones for everything else and for the time in which a thread's own is
//! down.
//!
//! A multiplexed connection pipelines by itself and needs no check-out, but never reconnects. Each
//! has a supervisor, which replaces it when it breaks, and checks its server every second and when
//! a command failed: a dead connection that reports no error (a lost route, a stopped server) is
//! noticed within [`WATCH_INTERVAL`] + the response timeout, a demoted server at its first refusal.

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::Duration,
};

use redis::RedisError;

use super::{
    Connections, Connector, InUse,
    fitness::Unfit,
    server::{Server, WATCH_INTERVAL},
};
use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::{Backoff, Runtime};

/// Pauses between tries to connect: short, since a failover is over within seconds.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// Dropping the last clone ends the supervisors.
pub struct Link<C: Connector> {
    slots: Arc<[Arc<Slot<C>>]>,
    /// Used while none of `slots` is connected.
    fallback: Option<Arc<Self>>,
    server: Arc<Server<C>>,
    supervisors: Arc<[C::Task]>,
}

type Slot<C> = RwLock<Option<InUse<<C as Connector>::Connection>>>;

impl<C: Connector> Link<C> {
    /// Starts `connections` supervisors, which connect in the background. `prefix`: of all keys.
    pub fn start(
        connector: C,
        connections: usize,
        prefix: &str,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Self {
        let server = Server::new(connector, prefix, dependency, runtime);
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
        self.server.failed(link.generation, &error);
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
                server.connected();
                set(Some(live.clone()));
                let error = server.watch(live, &mut orders, |live| set(Some(live))).await;
                set(None);
                // A connection that breaks at once is no success.
                if server.runtime.instant() - connected > WATCH_INTERVAL {
                    backoff.reset();
                }
                server.disconnected(&error);
            }
            Err(error) => server.not_connected(&error),
        }
        backoff.wait().await;
    }
}

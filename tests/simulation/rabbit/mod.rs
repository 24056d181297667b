//! A simulated RabbitMQ: late, lost and missing confirms, duplicates, reordering, lost queues, returned messages,
//! alarms, redelivery with a limit, dead letters.

mod bindings;
mod consumer;
mod dead_letters;
mod server;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use flashsale::{
    broker::{
        Bindings, Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths,
        Unrecordable, encode,
    },
    domain::{Durability, Entry, ProductId, SystemId},
    observability::Dependency,
    runtime::{Backoff, Runtime},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use uuid::Uuid;

pub(crate) use server::{Confirms, Habits, RabbitServer};

use self::{
    bindings::SimBindings,
    consumer::SimConsumer,
    dead_letters::SimDeadLetters,
    server::{Body, Dead, IN_TRANSIT_MAX},
};
use crate::{executor::Pid, sim::Sim};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// All messages are of one system.
const SYSTEM: SystemId = SystemId(Uuid::from_u128(1));
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The broker as one process reaches it.
#[derive(Clone, Debug)]
pub(crate) struct SimBroker {
    sim: Sim,
    server: RabbitServer,
    pid: Pid,
    publishing: Arc<Publishing>,
}

#[derive(Debug, Default)]
struct Publishing {
    connection: Mutex<Connection>,
    broken: Notify,
}

/// The publishing connection.
#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    generation: u64,
    /// The server's incarnation that it leads to; `None`: not connected.
    leads_to: Option<u64>,
    is_broken: bool,
    /// Since when the queue has confirmed nothing.
    stalled_since: Option<Instant>,
}

impl SimBroker {
    /// Starts connecting in the background, as a task of the process.
    pub(crate) fn start(sim: &Sim, server: &RabbitServer, pid: Pid, runtime: &Runtime) -> Self {
        let publishing = Arc::default();
        let broker = Self { sim: sim.clone(), server: server.clone(), pid, publishing };
        sim.executor.spawn(pid, broker.clone().supervise(runtime.clone()));
        broker
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.publishing.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, declares the topology, and connects again when the connection is of no use any more.
    async fn supervise(self, runtime: Runtime) {
        let mut backoff = Backoff::of_reconnects(&runtime);
        loop {
            self.sim.latency().await;
            let incarnation = {
                let mut state = self.server.lock();
                let incarnation = state.up.then_some(state.incarnation);
                state.has_queue |= state.up;
                incarnation
            };
            if incarnation.is_some() && self.proves_queue().await {
                {
                    let mut connection = self.connection();
                    let generation = connection.generation + 1;
                    let leads_to = incarnation;
                    *connection = Connection { generation, leads_to, is_broken: false, stalled_since: None };
                }
                backoff.reset();
                self.watch().await;
                self.connection().leads_to = None;
            }
            backoff.wait().await;
        }
    }

    /// Whether the queue confirms.
    async fn proves_queue(&self) -> bool {
        if !self.server.lock().is_stalled {
            return true;
        }
        let sent_at = Instant::now();
        sleep(PUBLISH_TIMEOUT).await;
        self.connection().stalled_since.get_or_insert(sent_at);
        false
    }

    /// Returns when the connection is of no use any more.
    async fn watch(&self) {
        loop {
            tokio::select! {
                biased;
                () = self.publishing.broken.notified() => {}
                () = sleep(WATCH_INTERVAL) => {}
            }
            let Connection { leads_to, is_broken, .. } = *self.connection();
            if is_broken || leads_to != Some(self.server.lock().incarnation) {
                return;
            }
        }
    }

    /// `fence`: the epoch that must be bound.
    async fn send(&self, body: Body, fence: Option<(ProductId, u64)>) -> Result<(), BrokerError> {
        let incarnation = self.connection().leads_to.ok_or(BrokerError::NotConnected)?;
        if self.server.lock().alarm {
            return Err(BrokerError::Blocked);
        }
        let sent = timeout(PUBLISH_TIMEOUT, self.deliver(body, fence, incarnation)).await;
        let outcome = sent.unwrap_or(Err(BrokerError::Unconfirmed("time-out")));
        let is_alive = matches!(outcome, Ok(()) | Err(BrokerError::Unroutable));
        if !is_alive && !self.server.lock().alarm {
            let mut connection = self.connection();
            connection.is_broken |= connection.leads_to == Some(incarnation);
            self.publishing.broken.notify_one();
        }
        outcome
    }

    async fn deliver(
        &self,
        body: Body,
        fence: Option<(ProductId, u64)>,
        incarnation: u64,
    ) -> Result<(), BrokerError> {
        self.sim.latency().await;
        {
            let state = self.server.lock();
            if !state.up || state.incarnation != incarnation {
                return Err(BrokerError::NotConnected);
            }
            if !state.has_queue || fence.is_some_and(|epoch| !state.bindings.contains(&epoch)) {
                return Err(BrokerError::Unroutable);
            }
        }
        if self.server.lock().is_stalled {
            return std::future::pending().await;
        }
        if self.sim.happens(5) {
            sleep(self.sim.draw(|random| IN_TRANSIT_MAX.mul_f64(random.f64() * 0.9))).await;
        }
        let (number, confirms) = {
            let mut state = self.server.lock();
            if !state.up || state.incarnation != incarnation {
                return Err(BrokerError::NotConnected);
            }
            (state.enqueue(&self.sim, &body, DeliveryHistory::default()), state.confirms)
        };
        self.server.changed.notify_waiters();
        self.sim.note(self.pid, format_args!("message {number} is enqueued"));
        match confirms {
            Confirms::Prompt => self.sim.latency().await,
            Confirms::Late(late) => sleep(late).await,
            Confirms::Never => std::future::pending().await,
        }
        {
            let mut state = self.server.lock();
            if state.incarnation != incarnation {
                return Err(BrokerError::NotConnected);
            }
            state.confirm(number);
        }
        // The confirm is on its way; the connection may end before it arrives.
        self.sim.latency().await;
        if self.server.lock().incarnation != incarnation {
            return Err(BrokerError::NotConnected);
        }
        self.sim.note(self.pid, format_args!("message {number} is confirmed"));
        Ok(())
    }

    fn body(&self, entries: &[Entry]) -> Body {
        let is_encoded = self.server.lock().habits.encoded;
        if is_encoded { Body::Encoded(encode(SYSTEM, entries)) } else { Body::Entries(entries.to_vec()) }
    }

    async fn reach(&self) -> Result<(), BrokerError> {
        self.sim.latency().await;
        if self.server.lock().up { Ok(()) } else { Err(BrokerError::NotConnected) }
    }
}

#[async_trait]
impl Broker for SimBroker {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        let fence = entries.first().map(|entry| (entry.purchase.product.clone(), entry.epoch));
        self.send(self.body(entries), fence).await
    }

    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.send(self.body(entries), None).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        self.reach().await?;
        Ok(Box::new(SimBindings::hold(self)?))
    }

    fn durability(&self) -> Durability {
        Durability::Broker
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        self.reach().await?;
        Ok(Box::new(SimConsumer::connect(self)))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        self.reach().await?;
        let state = self.server.lock();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Some(Depths { purchases: count(state.ready.len()), dead: count(state.dead.len()) }))
    }

    fn generation(&self) -> u64 {
        self.connection().generation
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.connection().stalled_since.map(|since| since.elapsed())
    }

    fn consuming(&self) -> Option<&Dependency> {
        None
    }

    async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        self.reach().await?;
        let body = match letter {
            Unrecordable::Entry(entry) => Body::Entries(vec![entry.clone()]),
            Unrecordable::Body(body) => Body::Encoded(body.clone()),
        };
        let (reason, detail) = (reason.class.as_str().to_owned(), reason.detail.clone());
        let mut state = self.server.lock();
        state.last_number += 1;
        let number = state.last_number;
        self.sim.note(self.pid, format_args!("dead letter {number}: {reason}"));
        state.dead.push(Dead { number, body, reason, detail, history });
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        self.reach().await?;
        Ok(Some(Box::new(SimDeadLetters::hold(self).await?)))
    }
}

//! A consumer of the queue, on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use flashsale::broker::{
    Acknowledge, BrokerError, Consumer, Content, Delivery, QueueState, Rejected, decode,
};
use tokio::time::{sleep, sleep_until};

use super::{
    SYSTEM, SimBroker,
    server::{Body, ConsumerId, Consuming, Message, RabbitServer},
};
use crate::{executor::WORLD, sim::Sim};

const PREFETCH: usize = 200;

#[derive(Debug)]
pub(super) struct SimConsumer {
    broker: SimBroker,
    id: ConsumerId,
}

impl SimConsumer {
    pub(super) fn connect(broker: &SimBroker) -> Self {
        let mut state = broker.server.lock();
        state.has_queue = true;
        state.last_number += 1;
        let id = state.last_number;
        state.consumers.insert(id, Consuming::default());
        drop(state);
        Self { broker: broker.clone(), id }
    }

    fn is_open(&self) -> bool {
        self.broker.server.lock().consumers.contains_key(&self.id)
    }
}

#[async_trait]
impl Consumer for SimConsumer {
    async fn start(&mut self) -> Result<(), BrokerError> {
        self.broker.sim.latency().await;
        let mut state = self.broker.server.lock();
        let consuming = state.consumers.get_mut(&self.id).ok_or(BrokerError::NotConnected)?;
        consuming.started = true;
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            let changed = self.broker.server.changed.notified();
            if !self.is_open() {
                return Err(BrokerError::NotConnected);
            }
            let taken = self.broker.server.lock().take(self.id, PREFETCH);
            match taken {
                Ok(message) => return Ok(self.delivery(message)),
                Err(None) => changed.await,
                Err(Some(available_at)) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(available_at) => {}
                },
            }
        }
    }

    async fn state(&mut self) -> Result<QueueState, BrokerError> {
        self.broker.sim.latency().await;
        if !self.is_open() {
            return Err(BrokerError::NotConnected);
        }
        let state = self.broker.server.lock();
        let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
        let consumers = state.consumers.values().filter(|consuming| consuming.started).count();
        Ok(QueueState { ready, consumers: u32::try_from(consumers).unwrap_or(u32::MAX) })
    }

    async fn close(self: Box<Self>) {
        self.broker.sim.latency().await;
    }
}

impl SimConsumer {
    fn delivery(&self, message: Message) -> Delivery {
        let SimBroker { sim, server, pid, .. } = &self.broker;
        let Message { number, body, history, .. } = message;
        sim.note(*pid, format_args!("takes message {number}"));
        let content = match body {
            Body::Entries(entries) => Content { entries, rejected: Vec::new() },
            Body::Encoded(body) => decode(SYSTEM, &body).unwrap_or_else(|reason| Content {
                entries: Vec::new(),
                rejected: vec![Rejected { body: body.clone(), reason }],
            }),
        };
        let (server, sim) = (server.clone(), sim.clone());
        let acknowledge = Box::new(Acker { server, sim, consumer: self.id, number });
        Delivery { content, history, acknowledge }
    }
}

impl Drop for SimConsumer {
    /// A crash closes the connection; where its host is gone with it, the broker notices by missed heartbeats.
    fn drop(&mut self) {
        let (SimBroker { sim, server, pid, .. }, id) = (self.broker.clone(), self.id);
        let end = move || {
            server.lock().end_consumer(id);
            server.changed.notify_waiters();
        };
        if !sim.executor.is_crashing(pid) || !sim.happens(20) {
            return end();
        }
        sim.executor.spawn(WORLD, async move {
            sleep(Duration::from_secs(20)).await;
            end();
        });
    }
}

#[derive(Debug)]
struct Acker {
    server: RabbitServer,
    sim: Sim,
    consumer: ConsumerId,
    number: u64,
}

#[async_trait]
impl Acknowledge for Acker {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        self.sim.latency().await;
        let mut state = self.server.lock();
        let consuming = state.consumers.get_mut(&self.consumer).ok_or(BrokerError::NotConnected)?;
        consuming.unacked.retain(|message| message.number != self.number);
        Ok(())
    }
}

//! Publishing, on one connection that a supervisor keeps (`supervisor.rs`).

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel,
    options::QueueDeclareOptions,
    types::{FieldTable, ShortString},
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    Topology,
    connect::parse,
    headers,
    returned::Returned,
    send::{self, send},
    stall::Stall,
    supervisor::{Live, Slot, Supervisor},
};
use crate::broker::{BrokerError, DeadReason, DeliveryHistory, Depths};
use crate::observability::{Dependency, Outage};
use crate::runtime::Runtime;

/// The publishing connection; clones share it. Dropping the last one ends its supervisor.
#[derive(Clone)]
pub(super) struct Publisher(Arc<Inner>);

struct Inner {
    slot: Arc<Slot>,
    stall: Arc<Stall>,
    returned: Arc<Returned>,
    dependency: Dependency,
    topology: Topology,
    runtime: Runtime,
    publish_timeout: Duration,
    _supervisor: JoinSet<()>,
}

impl Publisher {
    /// Starts connecting in the background. Fails only if the URL can't be read.
    pub(super) fn start(supervisor: Supervisor) -> Result<Self, BrokerError> {
        let Supervisor { slot, stall, returned, options, dependency, runtime, .. } = &supervisor;
        parse(options)?;
        let (topology, publish_timeout) = (options.topology.clone(), options.publish_timeout);
        let (slot, stall, returned) = (slot.clone(), stall.clone(), returned.clone());
        let (dependency, runtime) = (dependency.clone(), runtime.clone());
        let mut running = JoinSet::new();
        running.spawn(runtime.tasks.supervised("the connection to RabbitMQ", supervisor.run()));
        Ok(Self(Arc::new(Inner {
            slot,
            stall,
            returned,
            dependency,
            topology,
            runtime,
            publish_timeout,
            _supervisor: running,
        })))
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.slot.generation()
    }

    /// Fails where a new connection would have to be waited for.
    pub(super) fn check_reachable(&self) -> Result<(), BrokerError> {
        if self.0.slot.is_reachable() { Ok(()) } else { Err(BrokerError::NotConnected) }
    }

    pub(super) fn stalled_for(&self) -> Option<Duration> {
        self.0.stall.lasts()
    }

    pub(super) async fn publish(&self, routing_key: ShortString, body: &[u8]) -> Result<(), BrokerError> {
        let key = routing_key.clone();
        let sent = self.send(&self.0.topology.purchases, routing_key, body, FieldTable::default()).await;
        self.note_route(&key, &sent);
        sent
    }

    /// A purchase of a fenced epoch is returned for a moment. One of an epoch that sells, for
    /// longer, is an outage: nothing that is sold reaches the queue by itself.
    fn note_route(&self, key: &ShortString, sent: &Result<(), BrokerError>) {
        let Inner { returned, dependency, runtime, .. } = &*self.0;
        match sent {
            Ok(()) if returned.ended_by(key) => dependency.up(),
            Err(BrokerError::Unroutable) if returned.note(key, runtime.instant()) => {
                let detail = "purchases come back: no leader has bound the queue to the epoch that sells";
                dependency.down(Outage::Unbound, detail);
            }
            _ => {}
        }
    }

    /// To the queue itself, past the fence.
    pub(super) async fn publish_unfenced(&self, body: &[u8], headers: FieldTable) -> Result<(), BrokerError> {
        self.send(send::DEFAULT_EXCHANGE, self.0.topology.purchases(), body, headers).await
    }

    pub(super) async fn dead_letter(
        &self,
        body: &[u8],
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        let (queue, headers) = (self.0.topology.dead(), headers::of_dead_letter(reason, history));
        self.send(send::DEFAULT_EXCHANGE, queue, body, headers).await
    }

    /// How many messages wait in the two queues.
    pub(super) async fn depths(&self) -> Result<Depths, BrokerError> {
        let Live { connection, asking, .. } = self.live()?;
        // It would not be answered.
        if connection.status().blocked() {
            return Err(BrokerError::Blocked);
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let ask = async |channel: &Channel, queue: &str| {
            let answer = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
            Ok::<_, BrokerError>(answer.message_count())
        };
        let answered = timeout(self.0.publish_timeout, async {
            let mut asking = asking.lock().await;
            let channel = match asking.take() {
                Some(channel) => channel,
                None => connection.create_channel().await?,
            };
            let Topology { purchases, dead, .. } = &self.0.topology;
            let depths =
                Depths { purchases: ask(&channel, purchases).await?, dead: ask(&channel, dead).await? };
            *asking = Some(channel);
            Ok(depths)
        });
        answered.await.unwrap_or(Err(BrokerError::NotConnected))
    }

    fn live(&self) -> Result<Live, BrokerError> {
        self.0.slot.live().ok_or(BrokerError::NotConnected)
    }

    /// Sends on the present connection. A failure ends that connection.
    async fn send(
        &self,
        exchange: &str,
        routing_key: ShortString,
        body: &[u8],
        headers: FieldTable,
    ) -> Result<(), BrokerError> {
        let Inner { slot, stall, publish_timeout, runtime, .. } = &*self.0;
        let Live { generation, connection, channel, .. } = self.live()?;
        if connection.status().blocked() {
            return Err(BrokerError::Blocked);
        }
        let sent_at = runtime.instant();
        let sent = timeout(*publish_timeout, send(&channel, exchange, routing_key, body, headers)).await;
        let is_blocked = connection.status().blocked();
        match sent {
            Ok(Ok(())) => stall.ended(),
            Err(_) if !is_blocked => stall.suspected(sent_at),
            _ => {}
        }
        let outcome = sent.unwrap_or(Err(BrokerError::Unconfirmed("time-out")));
        // A blocked connection is alive: replacing it would only add to the broker's trouble. One
        // that returns a message of a fenced epoch is alive as well. Where the queue itself is
        // missing, what was confirmed before is lost: a new connection tells the sweeper so.
        let is_fenced = matches!(outcome, Err(BrokerError::Unroutable)) && exchange != send::DEFAULT_EXCHANGE;
        let is_alive = outcome.is_ok() || is_fenced;
        if !is_alive && !is_blocked {
            slot.broke(generation);
        }
        outcome
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Publisher({})", self.0.topology.purchases)
    }
}

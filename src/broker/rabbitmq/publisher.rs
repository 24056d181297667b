//! The publishing connection to RabbitMQ, under a supervisor that rebuilds it with channel and
//! topology after any error. Consumers have connections of their own: a blocked publisher must not
//! stop them.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{
    Channel, Connection,
    options::{ConfirmSelectOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use super::{
    RabbitOptions, Topology,
    connect::{connect, parse, with_timeout},
    headers,
    send::{self, send},
};
use crate::broker::{BrokerError, DeadReason, DeliveryHistory, Depths};
use crate::observability::{Dependency, Outage};
use crate::runtime::{Backoff, Runtime, error_chain};

/// How often an idle connection is checked.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// The publishing connection; clones share it. Dropping the last one ends its supervisor.
#[derive(Clone)]
pub(super) struct Publisher(Arc<Inner>);

struct Inner {
    slot: Arc<Slot>,
    topology: Topology,
    publish_timeout: Duration,
    _supervisor: JoinSet<()>,
}

#[derive(Default)]
struct Slot {
    live: RwLock<Option<Live>>,
    /// How many connections there have been.
    generation: AtomicU64,
    /// The latest of them on which a publish failed. A failure on an earlier one says
    /// nothing of the present.
    broken_generation: AtomicU64,
    broken: Notify,
}

#[derive(Clone)]
struct Live {
    generation: u64,
    connection: Arc<Connection>,
    channel: Channel,
    /// For questions, which the broker answers "no" by closing the channel.
    asking: Arc<tokio::sync::Mutex<Option<Channel>>>,
}

impl Publisher {
    /// Starts connecting in the background. Fails only if the URL can't be read.
    pub(super) fn start(
        options: &RabbitOptions,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        parse(options)?;
        let slot = Arc::new(Slot::default());
        let mut supervisor = JoinSet::new();
        let supervising = supervise(slot.clone(), options.clone(), dependency.clone(), runtime.clone());
        supervisor.spawn(runtime.tasks.supervised("the connection to RabbitMQ", supervising));
        let (topology, publish_timeout) = (options.topology.clone(), options.publish_timeout);
        Ok(Self(Arc::new(Inner { slot, topology, publish_timeout, _supervisor: supervisor })))
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.slot.generation.load(Ordering::Relaxed)
    }

    /// Fails where this would have to wait for a connection.
    pub(super) fn check_connected(&self) -> Result<(), BrokerError> {
        self.live().map(drop)
    }

    pub(super) async fn publish(&self, routing_key: ShortString, body: &[u8]) -> Result<(), BrokerError> {
        self.send(&self.0.topology.purchases, routing_key, body, FieldTable::default()).await
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
            let Topology { purchases, dead } = &self.0.topology;
            let depths =
                Depths { purchases: ask(&channel, purchases).await?, dead: ask(&channel, dead).await? };
            *asking = Some(channel);
            Ok(depths)
        });
        answered.await.unwrap_or(Err(BrokerError::NotConnected))
    }

    fn live(&self) -> Result<Live, BrokerError> {
        let live = self.0.slot.live.read().unwrap_or_else(PoisonError::into_inner).clone();
        live.ok_or(BrokerError::NotConnected)
    }

    /// Sends on the present connection. A failure ends that connection.
    async fn send(
        &self,
        exchange: &str,
        routing_key: ShortString,
        body: &[u8],
        headers: FieldTable,
    ) -> Result<(), BrokerError> {
        let Live { generation, connection, channel, .. } = self.live()?;
        if connection.status().blocked() {
            return Err(BrokerError::Blocked);
        }
        let sent =
            timeout(self.0.publish_timeout, send(&channel, exchange, routing_key, body, headers)).await;
        let outcome = sent.unwrap_or(Err(BrokerError::Unconfirmed("time-out")));
        // A blocked connection is alive: replacing it would only add to the broker's trouble. One
        // that returns a message is alive as well.
        let is_alive = matches!(outcome, Ok(()) | Err(BrokerError::Unroutable));
        if !is_alive && !connection.status().blocked() {
            self.0.slot.broken_generation.fetch_max(generation, Ordering::Relaxed);
            self.0.slot.broken.notify_one();
        }
        outcome
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Publisher({})", self.0.topology.purchases)
    }
}

async fn supervise(slot: Arc<Slot>, options: RabbitOptions, dependency: Dependency, runtime: Runtime) {
    let mut backoff = Backoff::of_reconnects(&runtime);
    loop {
        match with_timeout(&options, open(&options)).await {
            Ok(live) => {
                let generation = slot.generation.fetch_add(1, Ordering::Relaxed) + 1;
                let live = Live { generation, ..live };
                set(&slot, Some(live.clone()));
                dependency.up();
                backoff.reset();
                let (outage, reason) = watch(&slot, &live, &dependency, &runtime).await;
                set(&slot, None);
                dependency.down(outage, reason);
            }
            Err(error) => dependency.down(error.outage(), error_chain(&error)),
        }
        backoff.wait().await;
    }
}

fn set(slot: &Slot, live: Option<Live>) {
    *slot.live.write().unwrap_or_else(PoisonError::into_inner) = live;
}

async fn open(options: &RabbitOptions) -> Result<Live, BrokerError> {
    let connection = connect(options, "publish").await?;
    let channel = connection.create_channel().await?;
    options.topology.declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(Live { generation: 0, connection: Arc::new(connection), channel, asking: Arc::default() })
}

/// Returns when the connection is of no use any more, with the reason.
async fn watch(
    slot: &Slot,
    live: &Live,
    dependency: &Dependency,
    runtime: &Runtime,
) -> (Outage, &'static str) {
    let Live { generation, connection, .. } = live;
    loop {
        tokio::select! {
            () = slot.broken.notified() => {}
            () = runtime.sleep(WATCH_INTERVAL) => {}
        }
        if slot.broken_generation.load(Ordering::Relaxed) >= *generation {
            return (Outage::Unconfirmed, "a publish failed");
        }
        if !connection.status().connected() {
            return (Outage::NotConnected, "the connection ended");
        }
        if connection.status().blocked() {
            dependency.down(Outage::Blocked, BrokerError::Blocked);
        } else {
            dependency.up();
        }
    }
}

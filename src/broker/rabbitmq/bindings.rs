//! The leader's connection: it alone binds and unbinds.

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use lapin::{
    Channel, Connection, ExchangeKind,
    options::{
        ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        ExchangeUnbindOptions, QueueBindOptions, QueueDeleteOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;

use super::{
    RabbitOptions, Topology,
    connect::{connect, with_timeout},
    lock, message,
    send::{DEFAULT_EXCHANGE, send},
    topology::Passage,
};
use crate::broker::{Bindings, BrokerError};
use crate::domain::{ProductId, SystemId};
use crate::runtime::Runtime;

/// For messages that a channel has routed and the queue's leader has not received yet: in one node
/// that is a send between two Erlang processes, in a cluster it is the network between two nodes.
const IN_TRANSIT_MAX: Duration = Duration::from_millis(100);

/// RabbitMQ asks each node of a quorum queue to end it, and waits 5 s for one that does not answer.
const DELETION_MAX: Duration = Duration::from_secs(30);

pub(super) struct RabbitBindings {
    connection: Connection,
    channel: Channel,
    /// Held for as long as this is open.
    _lock: Channel,
    topology: Topology,
    system: SystemId,
    timeout: Duration,
    runtime: Runtime,
    /// What is bound. `None`: what earlier holders have bound is not removed yet.
    bound: Option<BTreeSet<(ProductId, u64)>>,
}

impl fmt::Debug for RabbitBindings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RabbitBindings({})", self.topology.purchases)
    }
}

impl RabbitBindings {
    pub(super) async fn hold(
        options: &RabbitOptions,
        system: SystemId,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        with_timeout(options, async {
            let connection = connect(options, "lead").await?;
            let name = format!("{}.bindings.lock", options.topology.purchases);
            let lock = lock::acquire(&connection, &name, Duration::ZERO, runtime).await?;
            let lock = lock.ok_or(BrokerError::BindingsInUse)?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self {
                connection,
                channel,
                _lock: lock,
                topology: options.topology.clone(),
                system,
                timeout: options.publish_timeout,
                runtime: runtime.clone(),
                bound: None,
            })
        })
        .await
    }

    /// Lets messages of these epochs through a passage to the queue.
    async fn lead_through(&self, passage: Passage, epochs: &[(ProductId, u64)]) -> Result<(), BrokerError> {
        self.answered(async {
            self.topology.declare(&self.channel, self.system).await?;
            let (purchases, passage) = (self.topology.purchases(), self.topology.passage(passage));
            let internal =
                ExchangeDeclareOptions { durable: true, internal: true, ..ExchangeDeclareOptions::default() };
            let kind = ExchangeKind::Fanout;
            self.channel.exchange_declare(passage.clone(), kind, internal, FieldTable::default()).await?;
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            self.channel
                .queue_bind(purchases.clone(), passage.clone(), "".into(), options, arguments)
                .await?;
            for (product, epoch) in epochs {
                let (from, to) = (purchases.clone(), passage.clone());
                let key = Topology::routing_key(product, *epoch);
                let (options, arguments) = (ExchangeBindOptions::default(), FieldTable::default());
                self.channel.exchange_bind(to, from, key, options, arguments).await?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a passage with the bindings to it.
    async fn close(&self, passage: Passage) -> Result<(), BrokerError> {
        let deleting =
            self.channel.exchange_delete(self.topology.passage(passage), ExchangeDeleteOptions::default());
        self.answered(async { Ok(deleting.await?) }).await
    }

    async fn replace(&self, queue: ShortString) -> Result<(), BrokerError> {
        let deleting = self.channel.queue_delete(queue, QueueDeleteOptions::default());
        let deleted = timeout(DELETION_MAX, deleting).await;
        deleted.map_err(|_elapsed| BrokerError::NotConnected)??;
        self.answered(self.topology.declare(&self.channel, self.system)).await
    }

    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        timeout(self.timeout, answer).await.unwrap_or(Err(BrokerError::NotConnected))
    }
}

#[async_trait]
impl Bindings for RabbitBindings {
    async fn bind(&mut self, epochs: &[(ProductId, u64)]) -> Result<(), BrokerError> {
        if self.bound.is_none() {
            // AMQP does not tell which bindings there are: they are replaced as a whole, and what
            // sells has one of the two ways to the queue all the while.
            self.lead_through(Passage::Temporary, epochs).await?;
            self.close(Passage::Lasting).await?;
            self.lead_through(Passage::Lasting, epochs).await?;
            self.close(Passage::Temporary).await?;
        } else {
            self.lead_through(Passage::Lasting, epochs).await?;
        }
        self.bound.get_or_insert_default().extend(epochs.iter().cloned());
        Ok(())
    }

    async fn unbind(&mut self, product: &ProductId) -> Result<(), BrokerError> {
        let bound = self.bound.as_ref().ok_or(BrokerError::NotConnected)?;
        let fenced: Vec<_> = bound.iter().filter(|(bound, _)| bound == product).cloned().collect();
        // RabbitMQ refuses to unbind from an exchange that is missing.
        self.lead_through(Passage::Lasting, &[]).await?;
        let (purchases, passage) = (self.topology.purchases(), self.topology.passage(Passage::Lasting));
        for (product, epoch) in &fenced {
            let (from, to) = (purchases.clone(), passage.clone());
            let key = Topology::routing_key(product, *epoch);
            let (options, arguments) = (ExchangeUnbindOptions::default(), FieldTable::default());
            let unbinding = self.channel.exchange_unbind(to, from, key, options, arguments);
            self.answered(async { Ok(unbinding.await?) }).await?;
        }
        if let Some(bound) = &mut self.bound {
            bound.retain(|(bound, _)| bound != product);
        }
        Ok(())
    }

    async fn replace_queue(&mut self) -> Result<(), BrokerError> {
        self.replace(self.topology.purchases()).await
    }

    async fn replace_dead_letters(&mut self) -> Result<(), BrokerError> {
        self.replace(self.topology.dead()).await
    }

    async fn settle(&mut self) -> Result<(), BrokerError> {
        self.runtime.sleep(IN_TRANSIT_MAX).await;
        // The queue confirms in the order of its log: what came before this message is in it too.
        let barrier = message::encode_nothing(self.system);
        let queue = self.topology.purchases();
        let sent = send(&self.channel, DEFAULT_EXCHANGE, queue, &barrier, FieldTable::default());
        self.answered(sent).await.map_err(|error| match error {
            _ if self.connection.status().blocked() => BrokerError::Blocked,
            error => error,
        })
    }
}

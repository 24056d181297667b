//! The leader's connection: it alone binds and unbinds.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use lapin::{
    Channel, Connection,
    options::{BasicGetOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;

use super::{
    RabbitOptions, Topology,
    connect::{connect, with_timeout},
    lock, message,
    send::{DEFAULT_EXCHANGE, send},
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
            })
        })
        .await
    }

    /// Whether a queue gives a message, or says that it has none. A message returns to the queue
    /// with the channel.
    async fn answers(&self, queue: ShortString) -> Result<bool, BrokerError> {
        let channel = self.connection.create_channel().await?;
        let got = timeout(self.timeout, channel.basic_get(queue, BasicGetOptions::default())).await;
        Ok(matches!(got, Ok(Ok(_))))
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
        self.answered(async {
            self.topology.declare(&self.channel, self.system).await?;
            let name = self.topology.purchases();
            for (product, epoch) in epochs {
                let (exchange, key) = (name.clone(), Topology::routing_key(product, *epoch));
                let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
                self.channel.queue_bind(name.clone(), exchange, key, options, arguments).await?;
            }
            Ok(())
        })
        .await
    }

    async fn unbind(&mut self, epochs: &[(ProductId, u64)]) -> Result<(), BrokerError> {
        self.answered(async {
            // RabbitMQ refuses to unbind from an exchange that is missing.
            self.topology.declare(&self.channel, self.system).await?;
            let name = self.topology.purchases();
            for (product, epoch) in epochs {
                let (exchange, key) = (name.clone(), Topology::routing_key(product, *epoch));
                self.channel.queue_unbind(name.clone(), exchange, key, FieldTable::default()).await?;
            }
            Ok(())
        })
        .await
    }

    async fn replace_queue(&mut self) -> Result<(), BrokerError> {
        let mut stalled = vec![self.topology.purchases()];
        if !self.answers(self.topology.dead()).await? {
            stalled.push(self.topology.dead());
        }
        for queue in stalled {
            let deleting = self.channel.queue_delete(queue, QueueDeleteOptions::default());
            let deleted = timeout(DELETION_MAX, deleting).await;
            deleted.map_err(|_elapsed| BrokerError::NotConnected)??;
        }
        self.answered(self.topology.declare(&self.channel, self.system)).await
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

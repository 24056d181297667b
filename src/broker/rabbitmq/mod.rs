//! The broker on RabbitMQ: a direct exchange, a quorum queue of purchases, and a dead-letter queue.

mod bindings;
mod connect;
mod consumer;
mod dead_letters;
mod headers;
mod lock;
mod message;
mod options;
mod publisher;
mod returned;
mod send;
mod stall;
mod supervisor;
mod topology;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::types::FieldTable;
use tokio::sync::watch;

use super::{
    Bindings, Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths, Unrecordable,
};
use crate::domain::{Durability, Entry, SystemId};
use crate::observability::{Dependency, Outage};
use crate::runtime::Runtime;
use bindings::RabbitBindings;
use connect::{connect, with_timeout};
use consumer::RabbitConsumer;
use dead_letters::RabbitDeadLetters;
pub use message::{decode, encode};
pub use options::RabbitOptions;
use publisher::Publisher;
use stall::Stall;
use supervisor::Supervisor;
pub use topology::Topology;

/// RabbitMQ. Publisher and consumers have connections of their own: a blocked publisher
/// must not stop consumers.
#[derive(Debug)]
pub struct RabbitMq {
    publisher: Publisher,
    options: RabbitOptions,
    system: watch::Receiver<Option<SystemId>>,
    stall: Arc<Stall>,
    publishing: Dependency,
    consuming: Dependency,
    runtime: Runtime,
}

impl RabbitMq {
    /// Starts connecting in the background, once the system's id is known. Fails only if the URL
    /// can't be read.
    pub fn start(
        options: RabbitOptions,
        publishing: &Dependency,
        consuming: Dependency,
        system: watch::Receiver<Option<SystemId>>,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        let stall = Arc::new(Stall::new(runtime));
        let publisher = Publisher::start(Supervisor {
            slot: Arc::default(),
            stall: stall.clone(),
            returned: Arc::default(),
            options: options.clone(),
            system: system.clone(),
            dependency: publishing.clone(),
            runtime: runtime.clone(),
        })?;
        let publishing = publishing.clone();
        Ok(Self { publisher, options, system, stall, publishing, consuming, runtime: runtime.clone() })
    }

    /// Declares exchanges and queues, for processes whose user may not.
    pub async fn declare(options: &RabbitOptions, system: SystemId) -> Result<(), BrokerError> {
        with_timeout(options, async {
            let connection = connect(options, "topology").await?;
            let channel = connection.create_channel().await?;
            options.topology.declare(&channel, system).await?;
            Ok(connection.close(200, "done".into()).await?)
        })
        .await
    }

    fn system(&self) -> Result<SystemId, BrokerError> {
        self.system.borrow().ok_or(BrokerError::SystemUnknown)
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        let Some(Entry { epoch, purchase, .. }) = entries.first() else { return Ok(()) };
        let key = Topology::routing_key(&purchase.product, *epoch);
        self.publisher.publish(key, &encode(self.system()?, entries)).await
    }

    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.publisher.publish_unfenced(&encode(self.system()?, entries), FieldTable::default()).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        if self.publishing.outage() == Some(Outage::ForeignSystem) {
            return Err(BrokerError::ForeignSystem(self.options.topology.prefix.clone()));
        }
        self.publisher.check_reachable()?;
        Ok(Box::new(RabbitBindings::hold(&self.options, self.system()?, &self.runtime).await?))
    }

    fn durability(&self) -> Durability {
        Durability::Broker
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(Box::new(RabbitConsumer::connect(&self.options, self.system()?, &self.stall).await?))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        self.publisher.depths().await.map(Some)
    }

    fn generation(&self) -> u64 {
        self.publisher.generation()
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.publisher.stalled_for()
    }

    fn consuming(&self) -> Option<&Dependency> {
        Some(&self.consuming)
    }

    async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        let encoded;
        let body = match letter {
            Unrecordable::Body(body) => body,
            Unrecordable::Entry(entry) => {
                encoded = encode(self.system()?, std::slice::from_ref(entry));
                &encoded
            }
        };
        let history = history.once_more(self.runtime.clock.now());
        self.publisher.dead_letter(body, reason, history).await
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        let held =
            RabbitDeadLetters::hold(&self.options, self.system()?, &self.publisher, &self.runtime).await?;
        Ok(Some(Box::new(held)))
    }
}

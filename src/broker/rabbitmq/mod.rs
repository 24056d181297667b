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
mod send;
mod topology;

use async_trait::async_trait;
use lapin::types::FieldTable;

use super::{
    Bindings, Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths, Unrecordable,
};
use crate::domain::{Durability, Entry};
use crate::observability::Dependency;
use crate::runtime::Runtime;
use bindings::RabbitBindings;
use consumer::RabbitConsumer;
use dead_letters::RabbitDeadLetters;
pub use message::{decode, encode};
pub use options::RabbitOptions;
use publisher::Publisher;
pub use topology::Topology;

/// RabbitMQ. Publisher and consumers have connections of their own: a blocked publisher
/// must not stop consumers.
#[derive(Debug)]
pub struct RabbitMq {
    publisher: Publisher,
    options: RabbitOptions,
    consuming: Dependency,
    runtime: Runtime,
}

impl RabbitMq {
    /// Starts connecting in the background. Fails only if the URL can't be read.
    pub fn start(
        options: RabbitOptions,
        publishing: &Dependency,
        consuming: Dependency,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        let publisher = Publisher::start(&options, publishing, runtime)?;
        Ok(Self { publisher, options, consuming, runtime: runtime.clone() })
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        let Some(Entry { epoch, purchase, .. }) = entries.first() else { return Ok(()) };
        let key = Topology::routing_key(&purchase.product, *epoch);
        self.publisher.publish(key, &encode(entries)).await
    }

    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.publisher.publish_unfenced(&encode(entries), FieldTable::default()).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        self.publisher.check_connected()?;
        Ok(Box::new(RabbitBindings::hold(&self.options, &self.runtime).await?))
    }

    fn durability(&self) -> Durability {
        Durability::Broker
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(Box::new(RabbitConsumer::connect(&self.options).await?))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        self.publisher.depths().await.map(Some)
    }

    fn generation(&self) -> u64 {
        self.publisher.generation()
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
                encoded = encode(std::slice::from_ref(entry));
                &encoded
            }
        };
        let history = history.once_more(self.runtime.clock.now());
        self.publisher.dead_letter(body, reason, history).await
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        let held = RabbitDeadLetters::hold(&self.options, &self.publisher, &self.runtime).await?;
        Ok(Some(Box::new(held)))
    }
}

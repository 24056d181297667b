//! The broker on RabbitMQ: a direct exchange, a quorum queue of purchases, and a dead-letter queue.

mod connect;
mod consumer;
mod dead_letters;
mod headers;
mod message;
mod publisher;
mod topology;

use std::time::Duration;

use async_trait::async_trait;

use super::{Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths, Unrecordable};
use crate::config::ServiceUrl;
use crate::domain::{Durability, Entry};
use crate::observability::Dependency;
use crate::runtime::Runtime;
use consumer::RabbitConsumer;
use dead_letters::RabbitDeadLetters;
pub use message::{decode, encode};
use publisher::Publisher;
pub use topology::Topology;

/// How to reach RabbitMQ.
#[derive(Clone, Debug)]
pub struct RabbitOptions {
    /// `amqp://user:password@host:port/vhost`
    pub url: ServiceUrl,
    pub topology: Topology,
    /// Seconds between heartbeats; a dead peer is noticed after two.
    pub heartbeat_s: u16,
    pub connect_timeout: Duration,
    /// Longest wait for a confirm, after which the connection is replaced.
    pub publish_timeout: Duration,
    /// Messages that a consumer may hold unacknowledged.
    pub prefetch_messages: u16,
}

/// RabbitMQ. Publisher and consumers have connections of their own: a blocked publisher must not stop consumers.
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
        self.publisher.publish(&encode(entries)).await
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

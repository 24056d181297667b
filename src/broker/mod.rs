//! The broker carries admitted purchases to the workers.
//!
//! [`Broker`] has two forms: RabbitMQ, and a channel within the process for the embedded mode, whose confirm
//! comes when the worker acks, that is, after the ledger's commit.

mod delivery_history;
mod memory;
mod message;
mod rabbitmq;

use std::time::Duration;

pub use delivery_history::DeliveryHistory;
pub use memory::EmbeddedBroker;
pub use message::{DeadReason, DeadReasonClass, Decoded, Item, Message};
pub use rabbitmq::*;

use serde::Serialize;

use crate::{config::ServiceUrl, domain::Durability, observability::Dependency};

/// Why the broker did not do what was asked. Nothing of it is final: the outbox still has the purchases.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No connection at the moment.
    #[error("not connected to RabbitMQ")]
    NotConnected,
    /// RabbitMQ has stopped accepting messages (a memory or disk alarm).
    #[error("RabbitMQ has blocked publishers: memory or disk alarm")]
    Blocked,
    /// The broker refused the message, could not route it, or did not confirm it in time.
    #[error("RabbitMQ did not confirm: {0}")]
    Unconfirmed(&'static str),
    /// The URL can't be read; what is wrong with it is not said, for it may hold a password.
    #[error(
        "its URL can't be read: amqp://user:password@host:port/vhost, and only AMQP's own query parameters"
    )]
    InvalidUrl,
    /// Somebody else holds the dead letters.
    #[error("somebody else is looking at the dead letters; try again shortly")]
    LettersInUse,
    /// The driver's error.
    #[error("RabbitMQ failed")]
    Driver(#[from] lapin::Error),
    /// The other end of the embedded broker has ended, or gave the message up.
    #[error("the worker did not commit the purchase")]
    NotCommitted,
}

/// How to reach RabbitMQ.
#[derive(Clone, Debug)]
pub struct RabbitOptions {
    /// `amqp://user:password@host:port/vhost`
    pub url: ServiceUrl,
    /// Names of exchange and queues.
    pub topology: Topology,
    /// Seconds between heartbeats; a dead peer is noticed after two.
    pub heartbeat_s: u16,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a confirm, after which the connection is replaced.
    pub publish_timeout: Duration,
    /// Messages that a consumer may hold unacknowledged.
    pub prefetch_messages: u16,
}

/// How many messages wait that nobody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Depths {
    /// For the workers. Each has up to 500 purchases.
    pub purchases: u32,
    /// For an operator: dead letters.
    pub dead: u32,
}

/// Where purchases travel.
#[derive(Clone, Debug)]
pub enum Broker {
    /// Through RabbitMQ.
    Rabbit {
        /// The publishing connection.
        publisher: RabbitPublisher,
        /// For consuming, each consumer on a connection of its own.
        options: RabbitOptions,
        /// The consuming side's state.
        dependency: Dependency,
    },
    /// Within this process.
    Embedded(EmbeddedBroker),
}

impl Broker {
    /// Sends a message; returns when it is safe with the broker.
    pub async fn publish(&self, message: &Message) -> Result<(), BrokerError> {
        match self {
            Self::Rabbit { publisher, .. } => publisher.publish(message.encode()).await,
            Self::Embedded(broker) => broker.publish(message.encode()).await,
        }
    }

    /// What a confirm of [`Broker::publish`] means.
    pub fn durability(&self) -> Durability {
        match self {
            Self::Rabbit { .. } => Durability::Broker,
            Self::Embedded(_) => Durability::Database,
        }
    }

    /// Starts consuming. The consumer ends at the first error: drop it and ask for another.
    pub async fn consume(&self) -> Result<Consumer, BrokerError> {
        match self {
            Self::Rabbit { options, .. } => {
                let mut consumer = Consumer::rabbit(options).await?;
                consumer.start().await?;
                Ok(consumer)
            }
            Self::Embedded(broker) => Ok(Consumer::embedded(broker.receiver())),
        }
    }

    /// Opens the queue for draining: consuming begins with [`Consumer::start`].
    pub async fn drain(&self) -> Result<Consumer, BrokerError> {
        match self {
            Self::Rabbit { options, .. } => Consumer::rabbit(options).await,
            Self::Embedded(broker) => Ok(Consumer::embedded(broker.receiver())),
        }
    }

    /// How many messages wait, at little cost. The embedded broker has no queues that could be looked at.
    pub async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        match self {
            Self::Rabbit { publisher, .. } => publisher.depths().await.map(Some),
            Self::Embedded(_) => Ok(None),
        }
    }

    /// Rises with every new connection: what was sent before it may be lost.
    pub fn generation(&self) -> u64 {
        match self {
            Self::Rabbit { publisher, .. } => publisher.generation(),
            Self::Embedded(_) => 0,
        }
    }

    /// The state of the consuming side, kept by whoever consumes.
    pub fn consuming(&self) -> Option<&Dependency> {
        match self {
            Self::Rabbit { dependency, .. } => Some(dependency),
            Self::Embedded(_) => None,
        }
    }

    /// Puts a message that can never succeed into the dead-letter queue, with its reason; returns when it is
    /// safe there. The embedded broker has no such queue and refuses.
    pub async fn dead_letter(
        &self,
        body: Vec<u8>,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        match self {
            Self::Rabbit { publisher, .. } => publisher.dead_letter(body, reason, history).await,
            Self::Embedded(_) => Err(BrokerError::NotCommitted),
        }
    }

    /// Takes hold of all dead letters. The embedded broker has none.
    pub async fn dead_letters(&self) -> Result<Option<DeadLetters>, BrokerError> {
        match self {
            Self::Rabbit { publisher, options, .. } => Ok(Some(DeadLetters::hold(options, publisher).await?)),
            Self::Embedded(_) => Ok(None),
        }
    }
}

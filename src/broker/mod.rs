//! The broker carries admitted purchases to the workers.
//!
//! [`Broker`] has two implementations: [`RabbitMq`], and [`MemoryBroker`], a channel within the
//! process for the embedded mode, whose confirm comes when the worker acks, that is, after the
//! ledger's commit.

mod bindings;
mod dead_letter;
mod delivery;
mod error;
mod memory;
mod rabbitmq;

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use serde::Serialize;

pub use bindings::Bindings;
pub use dead_letter::{DeadLetter, DeadLetters, DeadReason, DeadReasonClass, DeliveryHistory, Unrecordable};
pub use delivery::{Acknowledge, Content, Delivery, Rejected};
pub use error::BrokerError;
pub use memory::MemoryBroker;
pub use rabbitmq::{RabbitMq, RabbitOptions, Topology, decode, encode};

use crate::domain::{Durability, Entry};
use crate::observability::Dependency;

/// How many messages are in the queues that no consumer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Depths {
    /// For the workers. Each has up to 500 purchases.
    pub purchases: u32,
    /// For an operator: dead letters.
    pub dead: u32,
}

/// The queue of purchases, as a consumer's connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Messages that no consumer holds.
    pub ready: u32,
    pub consumers: u32,
}

/// Carries purchases with at-least-once delivery. An error of [`Broker::publish`] means "not
/// confirmed": the message may arrive all the same, and the outbox still has the purchases.
///
/// The broker is a fence. A message of [`Broker::publish`] carries its product and epoch in the
/// routing key, and only the epochs that the leader has bound ([`Bindings`]) reach the queue. A
/// rebuild unbinds an epoch before it drains the queue. So whatever clock, configuration or
/// admission a publisher believes in, a confirm of [`Broker::publish`] means that the purchase was
/// in the queue before the drain, or is of an epoch that still sells.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Sends entries of one product and epoch as one message; returns when the broker has confirmed
    /// it. [`BrokerError::Unroutable`]: nothing was sent, because the epoch is not bound.
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError>;

    /// As [`Broker::publish`], whatever the epoch. A confirm is no promise of the unit: a
    /// rebuild may have drained the queue before. For what was answered without the claim that
    /// the broker has it.
    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError>;

    /// Takes hold of the bindings, without waiting.
    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError>;

    /// What a confirm of [`Broker::publish`] means for the purchases in it.
    fn durability(&self) -> Durability;

    /// Connects a consumer to the queue of purchases. It receives nothing before
    /// [`Consumer::start`].
    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Reads the depths of the queues. `None`: this broker has no queues that outlive the process.
    async fn depths(&self) -> Result<Option<Depths>, BrokerError>;

    /// Rises with every new publishing connection: what was confirmed on an earlier one
    /// may be lost since.
    fn generation(&self) -> u64;

    /// For how long the queue, on a live connection, has confirmed nothing that was sent to it, and
    /// delivered nothing to this process. `None`: it does, or there is no connection.
    fn stalled_for(&self) -> Option<Duration>;

    /// The state of the consuming side, kept by the consumer of this process. `None`: it
    /// can't fail by itself.
    fn consuming(&self) -> Option<&Dependency>;

    /// Publishes what can never be recorded to the dead-letter queue; returns when the
    /// broker has confirmed it.
    async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError>;

    /// Takes hold of the dead letters, so that no one else handles them meanwhile. What was
    /// replayed before is in the queue of purchases then. `None`: this broker has none.
    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError>;
}

/// A consumer of the queue of purchases. The first error is its end: drop it and
/// ask for another one.
#[async_trait]
pub trait Consumer: Debug + Send {
    /// Begins to consume: the queue delivers from now on.
    async fn start(&mut self) -> Result<(), BrokerError>;

    /// The next message. Cancel-safe.
    async fn next(&mut self) -> Result<Delivery, BrokerError>;

    /// Reads the state of the queue.
    async fn state(&mut self) -> Result<QueueState, BrokerError>;

    /// Gives all deliveries that are not acknowledged back to the queue, before returning
    /// where the broker answers.
    async fn close(self: Box<Self>);
}

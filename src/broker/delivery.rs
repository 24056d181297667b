//! A message as a consumer receives it, decoded once.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{BrokerError, DeadReason, DeliveryHistory};
use crate::domain::Entry;

/// What was read of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub entries: Vec<Entry>,
    /// Parts of the message that can never be recorded.
    pub rejected: Vec<Rejected>,
}

/// A part of a message that can never be recorded, as a message of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub body: Vec<u8>,
    pub reason: DeadReason,
}

/// A message that was received and not yet settled. Dropping it, or the consumer, gives it
/// back to the queue.
#[derive(Debug)]
pub struct Delivery {
    pub content: Content,
    pub history: DeliveryHistory,
    /// To be used once the ledger has committed everything in it, or the dead-letter queue has it.
    pub acknowledge: Box<dyn Acknowledge>,
}

#[async_trait]
pub trait Acknowledge: Debug + Send + Sync {
    /// Removes the message from the queue. After an error it is delivered again.
    async fn ack(self: Box<Self>) -> Result<(), BrokerError>;
}

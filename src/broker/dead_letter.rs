//! Dead letters: messages that can never be recorded, or that the broker gave up.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::BrokerError;
use crate::domain::Entry;

/// How often a message was dead-lettered. It travels with the message, from dead letter to
/// replay to dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryHistory {
    pub tries: u32,
    /// When it was dead-lettered first, in milliseconds since 1970.
    pub first_seen: Option<i64>,
}

impl DeliveryHistory {
    /// After one more failure.
    #[must_use]
    pub fn once_more(self, now: DateTime<Utc>) -> Self {
        let first_seen = self.first_seen.or_else(|| Some(now.timestamp_millis()));
        Self { tries: self.tries.saturating_add(1), first_seen }
    }
}

/// Why something is in the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReason {
    pub class: DeadReasonClass,
    /// The details, for a person.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReasonClass {
    /// Not JSON, or not of the form of a message.
    Malformed,
    /// A type or version that this program does not know.
    UnknownVersion,
    /// Another system uses the same prefix on the same broker.
    ForeignSystem,
    /// A field of an item is out of its bounds.
    BadField,
    /// The ledger has no such product.
    UnknownProduct,
    /// The unit is above the product's total stock.
    UnitOutOfRange,
    /// The ledger refuses the values themselves.
    Refused,
}

impl DeadReasonClass {
    /// Its stable name in headers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown-version",
            Self::ForeignSystem => "foreign-system",
            Self::BadField => "bad-field",
            Self::UnknownProduct => "unknown-product",
            Self::UnitOutOfRange => "unit-out-of-range",
            Self::Refused => "refused",
        }
    }
}

/// What can never be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrecordable {
    Entry(Entry),
    /// A message, or a part of one, that can't be read.
    Body(Vec<u8>),
}

/// A message of the dead-letter queue.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Names this copy, for as long as it is held.
    #[serde(skip)]
    pub position: u64,
    /// The beginning of a hash of its body: the same at each read.
    pub id: String,
    /// The name of a [`DeadReasonClass`]; `delivery-limit` where the broker gave the message up.
    pub reason: String,
    /// The details, for a person.
    pub detail: String,
    #[serde(flatten)]
    pub history: DeliveryHistory,
    /// The purchases in it, where it can be read.
    #[serde(skip)]
    pub entries: Vec<Entry>,
    /// The message, as it is.
    #[serde(serialize_with = "as_text")]
    pub body: Vec<u8>,
}

fn as_text<S: serde::Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

/// The dead letters, held: nobody else of this system reads, replays or removes one meanwhile.
/// What is neither replayed nor removed goes back to the queue.
///
/// They are read one after the other, the oldest first, because the queue may hold
/// more than memory does.
#[async_trait]
pub trait DeadLetters: Debug + Send {
    /// How many letters the queue has that were not read yet.
    async fn unread(&mut self) -> Result<u32, BrokerError>;

    /// The next letter. `None`: the queue has no other one now; a later call reads what was added
    /// since. Fails where the queue does not give all that it has, so that a part of the letters
    /// is never taken for all of them.
    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError>;

    /// Publishes a letter that was read to the workers again, and removes it once the
    /// broker has confirmed that.
    async fn replay(&mut self, letter: &DeadLetter) -> Result<(), BrokerError>;

    /// Removes the letter at this position, which must be recorded elsewhere.
    async fn remove(&mut self, position: u64) -> Result<(), BrokerError>;

    /// Gives the rest back to the queue.
    async fn close(self: Box<Self>);
}

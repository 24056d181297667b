//! An admitted purchase on its way to the ledger, and its position in the outbox.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use super::{Purchase, PurchaseId};

/// 9999-12-31T23:59:59.999Z: the databases hold the years up to here alike.
const ADMITTED_AT_MAX_MS: u64 = 253_402_300_799_999;

/// Position in the outbox, `<milliseconds>-<sequence>`. Its
/// milliseconds are the admission time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Milliseconds since 1970, by admission's clock.
    pub millis: u64,
    /// Distinguishes entries of one millisecond.
    pub sequence: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("an outbox entry id looks like 1732000000000-0")]
pub struct EntryIdError;

impl EntryId {
    pub const FIRST: Self = Self { millis: 0, sequence: 0 };
    pub const LAST: Self = Self { millis: u64::MAX, sequence: u64::MAX };

    /// The last possible entry of an instant.
    pub fn end_of(instant: DateTime<Utc>) -> Self {
        Self { millis: u64::try_from(instant.timestamp_millis()).unwrap_or(0), sequence: u64::MAX }
    }

    /// The admission time, to the millisecond.
    pub fn admitted_at(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.millis).unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.millis, self.sequence)
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let number = |digits: &str| digits.parse().map_err(|_not_a_number| EntryIdError);
        let (millis, sequence) = text.split_once('-').ok_or(EntryIdError)?;
        Ok(Self { millis: number(millis)?, sequence: number(sequence)? })
    }
}

/// An admitted purchase on its way to the ledger: what the outbox, the message, the batch
/// and the settlement hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the outbox.
    pub id: EntryId,
    /// The incarnation of the admission state that admitted it.
    pub epoch: u64,
    pub purchase: Purchase,
}

/// What makes an entry the same as another one: a rebuild gives a purchase a new entry.
pub type EntryKey = (PurchaseId, EntryId);

impl Entry {
    pub fn key(&self) -> EntryKey {
        (self.purchase.id, self.id)
    }

    /// Groups entries by product and epoch, in the order in which each group first occurs.
    pub fn group(entries: impl IntoIterator<Item = Self>) -> Vec<Vec<Self>> {
        let mut groups: Vec<Vec<Self>> = Vec::new();
        for entry in entries {
            let belongs = |group: &&mut Vec<Self>| group.first().is_some_and(|first| first.is_beside(&entry));
            match groups.iter_mut().find(belongs) {
                Some(group) => group.push(entry),
                None => groups.push(vec![entry]),
            }
        }
        groups
    }

    /// Whether every store can hold it; the error says what is out of its bounds.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.purchase.unit == 0 {
            return Err("unit: it must be at least 1");
        }
        if self.id.millis > ADMITTED_AT_MAX_MS {
            return Err("admittedAt: it must be between 1970 and 9999");
        }
        Ok(())
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.purchase.product == other.purchase.product
    }
}

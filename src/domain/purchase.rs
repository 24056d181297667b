//! One unit, given to one user.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::{ProductId, UserId};

/// Names a purchase everywhere: answers, messages, tables. A UUID of version 7, so that rows which
/// are made together lie together in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurchaseId(pub Uuid);

impl PurchaseId {
    /// Before every other id.
    pub const FIRST: Self = Self(Uuid::nil());
    pub const LAST: Self = Self(Uuid::max());

    /// A fresh id for an attempt made at `now`. `random` makes it unguessable: 74 of
    /// its bits are used.
    pub fn new(now: DateTime<Utc>, random: [u64; 2]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let [a, b] = random.map(u64::to_be_bytes);
        let random = [a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0], b[1]];
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// When the attempt was made, by the clock of its process, to the millisecond.
    pub fn made_at(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(0); // 48 bits
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }
}

impl fmt::Display for PurchaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// One unit of a product, given to one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub id: PurchaseId,
    pub product: ProductId,
    pub user: UserId,
    /// Which unit, from 1. 0: none, because the purchase was cancelled, or
    /// made elsewhere and imported.
    pub unit: u32,
    /// When admission gave the unit, by admission's clock, to the millisecond.
    pub admitted_at: DateTime<Utc>,
}

/// How far a purchase has come. It only ever moves from `Pending` to one of the others, and from
/// `Confirmed` to `Cancelled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PurchaseState {
    /// Admitted, and on its way to the ledger.
    Pending,
    Confirmed,
    /// Taken back before it was recorded, with a reason; only after admission lost data
    /// or by an operator.
    Revoked,
    /// Taken back by an operator after it was recorded, with a reason.
    Cancelled,
}

impl PurchaseState {
    /// Its name in answers and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Revoked => "REVOKED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Where a purchase is safe at the moment of answering SUCCESS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Committed to the ledger.
    Database,
    /// Confirmed by the broker, and in admission.
    Broker,
    /// In admission alone; the outbox will deliver it.
    Redis,
}

/// A purchase that was taken back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub id: PurchaseId,
    /// A sentence for the buyer.
    pub reason: String,
    /// `Revoked` or `Cancelled`.
    pub state: PurchaseState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_the_attempt_was_made() {
        let at = DateTime::from_timestamp_millis(1_732_000_000_123).unwrap();
        assert_eq!(PurchaseId::new(at, [u64::MAX, 2]).made_at(), at);
    }
}

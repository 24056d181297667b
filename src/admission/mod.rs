//! Admission decides who gets a unit, in one atomic step, and remembers the winner until the ledger has it.
//!
//! [`Gate`] has two forms with one behaviour: Redis, where every operation is one Lua script, and memory, for
//! the embedded mode. One conformance suite runs the same cases on both.

mod embedded;
mod error;
mod keys;
mod link;
mod redis_gate;
mod replies;

use crate::domain::{EntryId, OutboxEntry, Outcome, ProductId, Purchase, PurchaseId, PurchaseState};
use crate::domain::{SaleState, Terms, UserId};

pub use embedded::EmbeddedGate;
pub use error::GateError;
pub use keys::Keys;
pub use redis_gate::{RedisGate, RedisOptions};

/// The decision about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The user has a unit now. The entry is in the outbox.
    Won(OutboxEntry),
    /// The user had one already: that purchase, and how far it is.
    Already(OutboxEntry, PurchaseState),
    /// No unit for this user: `SOLD_OUT`, `UPCOMING`, `ENDED` or `PAUSED`.
    Refused(Outcome),
}

/// What admission knows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Their purchase, and how far it is.
    Purchase(OutboxEntry, PurchaseState),
    /// They have none. `revocations`: some purchases of this sale were revoked; the ledger knows whose.
    Nothing {
        /// Whether it is worth asking the ledger.
        revocations: bool,
    },
}

/// What becomes of an admitted purchase whose unit the ledger has given to someone else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassignment {
    /// It has another unit, and this entry in the outbox.
    Moved(OutboxEntry),
    /// The user has another purchase by now, which stands.
    Other(OutboxEntry),
    /// No unit is left.
    NoUnitLeft,
}

/// Says which outbox entry a purchase has: by the entry's id, or by its time where only that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryKey {
    /// The entry's milliseconds.
    pub millis: u64,
    /// The entry's sequence, if known.
    pub sequence: Option<u64>,
    /// The purchase in it.
    pub purchase: PurchaseId,
}

/// Why a rebuilt state was not put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The sale is ready under the new epoch.
    Open,
    /// A later epoch is in place already: another rebuild was faster.
    Stale,
    /// The staged snapshot is not whole.
    Incomplete,
}

/// Where admission keeps its state.
#[derive(Clone, Debug)]
pub enum Gate {
    /// In Redis, shared by every process.
    Redis(RedisGate),
    /// In this process.
    Embedded(EmbeddedGate),
}

macro_rules! on_either {
    ($gate:expr, $inner:ident => $call:expr) => {
        match $gate {
            Gate::Redis($inner) => $call.await,
            Gate::Embedded($inner) => $call,
        }
    };
}

impl Gate {
    /// Decides one attempt; `id` becomes the purchase's if the user wins. Repeating it is safe.
    pub async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Admission, GateError> {
        on_either!(self, gate => gate.admit(product, user, id))
    }

    /// The sale as it stands.
    pub async fn sale(&self, product: &ProductId) -> Result<SaleState, GateError> {
        on_either!(self, gate => gate.sale(product))
    }

    /// A user's purchase.
    pub async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, GateError> {
        on_either!(self, gate => gate.find(product, user))
    }

    /// Outbox entries after `after` and up to `up_to` inclusive, oldest first, at most `limit`.
    pub async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, GateError> {
        on_either!(self, gate => gate.outbox(product, after, up_to, limit))
    }

    /// Deletes outbox entries of purchases that are settled: in the ledger, revoked or dead-lettered.
    pub async fn settle(
        &self,
        product: &ProductId,
        epoch: u64,
        entries: &[EntryKey],
    ) -> Result<(), GateError> {
        on_either!(self, gate => gate.settle(product, epoch, entries))
    }

    /// Takes an admission back because the user's other purchase `stands` in the ledger; its unit returns to
    /// free, once.
    pub async fn supersede(&self, withdrawn: &OutboxEntry, stands: &Purchase) -> Result<(), GateError> {
        on_either!(self, gate => gate.supersede(withdrawn, stands))
    }

    /// Takes an admission back because there is no unit for it; the unit it named is someone else's.
    pub async fn revoke(&self, withdrawn: &OutboxEntry) -> Result<(), GateError> {
        on_either!(self, gate => gate.revoke(withdrawn))
    }

    /// Gives a purchase another unit: the lowest free one.
    pub async fn reassign(&self, purchase: &Purchase) -> Result<Reassignment, GateError> {
        on_either!(self, gate => gate.reassign(purchase))
    }

    /// Changes the terms of a running sale. False when the sale is of another epoch, or has handed out more
    /// units than the new total.
    pub async fn configure(&self, product: &ProductId, epoch: u64, terms: &Terms) -> Result<bool, GateError> {
        on_either!(self, gate => gate.configure(product, epoch, terms))
    }

    /// Stops admission until [`Gate::open`]: the first step of a rebuild. The outbox is kept.
    pub async fn fence(&self, product: &ProductId) -> Result<(), GateError> {
        on_either!(self, gate => gate.fence(product))
    }

    /// Adds a part of the ledger's snapshot to what [`Gate::open`] will put in place; each part once.
    pub async fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), GateError> {
        on_either!(self, gate => gate.stage(product, epoch, purchases, free))
    }

    /// Puts the staged snapshot in place under `epoch`. `next`: the highest unit in the ledger; the staged
    /// purchases and free units must be all of `1..=next`.
    pub async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: u64,
    ) -> Result<Opening, GateError> {
        on_either!(self, gate => gate.open(product, epoch, terms, next, revoked))
    }

    /// Whether an admission outlives this process, so that SUCCESS may be answered before the broker has it.
    pub fn outlives_process(&self) -> bool {
        matches!(self, Self::Redis(_))
    }
}

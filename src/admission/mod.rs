//! Admission decides who gets a unit, in one atomic step, and remembers the winner until the ledger has it.
//!
//! [`Gate`] has two forms with one behaviour: Redis, where every operation is one Lua script, and memory, for
//! the embedded mode. One conformance suite runs the same cases on both.

mod error;
mod memory;
mod rebuild_step;
mod recent;
mod redis;

use crate::domain::{EntryId, OutboxEntry, Outcome, ProductId, Purchase, PurchaseId, PurchaseState};
use crate::domain::{SaleState, Terms, UserId};

pub use error::GateError;
pub use memory::EmbeddedGate;
pub use rebuild_step::RebuildStep;
pub use recent::RecentSales;
pub use redis::{Keys, RedisGate, RedisOptions};

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

/// What becomes of the unit of an admission that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawnUnit {
    /// It is nobody's, and can be sold again.
    Returns,
    /// It belongs to someone else.
    BelongsToOther,
}

/// What becomes of an admitted purchase that needs a unit again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassignment {
    /// It has this unit, and this entry in the outbox.
    Moved(OutboxEntry),
    /// The user has another purchase by now, which stands.
    Other(OutboxEntry),
    /// No unit is left.
    NoUnitLeft,
}

/// Who has which unit, and which units came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Everybody's purchase.
    pub winners: Vec<Purchase>,
    /// Returned units.
    pub free: Vec<u32>,
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

/// Whether admission was stopped for a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It is.
    Stopped,
    /// A later epoch, this one, has stopped or opened it already.
    Later(u64),
}

/// Why a rebuilt state was not put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The sale is ready under the new epoch.
    Open,
    /// Another rebuild has begun meanwhile, or Redis was lost again.
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

    /// Everybody who has a unit, in the order of the units, and the returned units. Page by page: it is whole only
    /// while nobody buys.
    pub async fn contents(&self, product: &ProductId) -> Result<Contents, GateError> {
        on_either!(self, gate => gate.contents(product))
    }

    /// Deletes outbox entries of purchases that the ledger has.
    pub async fn settle(
        &self,
        product: &ProductId,
        epoch: u64,
        entries: &[EntryKey],
    ) -> Result<(), GateError> {
        on_either!(self, gate => gate.settle(product, epoch, entries, false))
    }

    /// Deletes outbox entries of purchases that the dead-letter queue has. They stay pending.
    pub async fn bury(&self, product: &ProductId, epoch: u64, entries: &[EntryKey]) -> Result<(), GateError> {
        on_either!(self, gate => gate.settle(product, epoch, entries, true))
    }

    /// Takes the admission of a purchase back. `stands`: the user's purchase in the ledger, if there is one; if
    /// not, this one is revoked. `unit`: what becomes of its unit. Repeating it is safe.
    pub async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), GateError> {
        on_either!(self, gate => gate.withdraw(withdrawn, stands, unit))
    }

    /// Gives a purchase a unit again: the one it names, if `may_keep` and nobody has it, or else the lowest free one.
    pub async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, GateError> {
        on_either!(self, gate => gate.reassign(purchase, may_keep))
    }

    /// Makes a winner of whoever has a unit in the ledger, unless they have one here.
    pub async fn adopt(&self, owner: &Purchase) -> Result<(), GateError> {
        on_either!(self, gate => gate.adopt(owner))
    }

    /// Puts a winner's purchase into the outbox again. False: there is no such winner, or the entry is there.
    pub async fn send_again(&self, purchase: &Purchase) -> Result<bool, GateError> {
        on_either!(self, gate => gate.send_again(purchase))
    }

    /// Changes the terms of a running sale. False when the sale is of another epoch, or has handed out more
    /// units than the new total.
    pub async fn configure(&self, product: &ProductId, epoch: u64, terms: &Terms) -> Result<bool, GateError> {
        on_either!(self, gate => gate.configure(product, epoch, terms))
    }

    /// Stops admission until [`Gate::open`] with the same epoch: the first step of a rebuild. The outbox is kept.
    pub async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, GateError> {
        on_either!(self, gate => gate.fence(product, epoch))
    }

    /// Notes how far the rebuild under `epoch` is, if its fence stands: [`GateError::Rebuilding`] tells it.
    pub async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), GateError> {
        on_either!(self, gate => gate.note_step(product, epoch, step))
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

    /// Forgets what was staged for `epoch`, after a rebuild that did not succeed.
    pub async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), GateError> {
        on_either!(self, gate => gate.unstage(product, epoch))
    }

    /// Puts the staged snapshot in place under `epoch`, whose fence must stand. `next`: the highest unit in the
    /// ledger; the staged purchases and free units must be all of `1..=next`. `revoked`: whether purchases of
    /// this sale were revoked.
    pub async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, GateError> {
        on_either!(self, gate => gate.open(product, epoch, terms, next, revoked))
    }

    /// The same gate, for use by the thread that calls this.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        match self {
            Self::Redis(gate) => Self::Redis(gate.on_this_thread()),
            Self::Embedded(gate) => Self::Embedded(gate.clone()),
        }
    }

    /// Whether an admission outlives this process, so that SUCCESS may be answered before the broker has it.
    pub fn outlives_process(&self) -> bool {
        matches!(self, Self::Redis(_))
    }
}

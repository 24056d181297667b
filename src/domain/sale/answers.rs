//! What the operations on a sale answer.

use std::fmt;

use super::{Entry, RebuildStep};
use crate::domain::{Outcome, Purchase, PurchaseState, UsedRight};

/// The decision about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The user has a unit now. The entry is in the outbox.
    Won(Entry),
    /// The user's one purchase, made by an earlier attempt. Its entry is in the outbox: it may
    /// be nowhere else yet.
    InOutbox(Entry),
    /// The user's one purchase, which has left the outbox, and how far it is. Without a unit where
    /// it only keeps the user from buying.
    Already(Entry, PurchaseState),
    /// No unit for this user: `SOLD_OUT`, `UPCOMING`, `ENDED` or `PAUSED`.
    Refused(Outcome),
}

/// What admission knows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The user's purchase, and how far it is.
    Purchase(Entry, PurchaseState),
    /// The user has none. `revocations`: some purchases of this sale were taken back, and
    /// the ledger knows whose.
    Nothing { revocations: bool },
}

/// What becomes of the unit of a withdrawn purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawnUnit {
    /// The unit has no owner, and can be sold again.
    Returns,
    BelongsToOther,
}

/// What becomes of an admitted purchase that needs a unit again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassignment {
    /// The purchase has the unit and the outbox entry of this entry now.
    Moved(Entry),
    /// The user has another purchase by now, which stands, or one that was cancelled or imported.
    Other(Entry),
    NoUnitLeft,
}

/// Who has which unit, who may not buy any more, and which units were returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub winners: Vec<Purchase>,
    pub used: Vec<UsedRight>,
    pub free: Vec<u32>,
}

/// Whether admission was stopped for a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    Stopped,
    /// This epoch, which is not earlier, has stopped or opened admission already.
    Later(u64),
}

/// Whether a rebuilt state was put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The sale is ready under the new epoch.
    Open,
    /// Another rebuild has begun meanwhile, or the state was lost again.
    Stale,
    /// The staged snapshot is not whole.
    Incomplete,
}

impl fmt::Display for Opening {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Open => "it is in place",
            Self::Stale => "another rebuild has begun meanwhile, or the state was lost again",
            Self::Incomplete => "the staged snapshot is not whole",
        })
    }
}

/// Why a sale gives no answer. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitting {
    #[error("there is no state that may be sold from")]
    NotReady,
    #[error("a rebuild has stopped the sale: {0}")]
    Rebuilding(RebuildStep),
    #[error("the sale belongs to another system")]
    OtherSystem,
    #[error("the state lacks what was seen of it before: it was rolled back")]
    RolledBack,
    #[error("{held} winners and free units, of {next} that were handed out")]
    Damaged { held: usize, next: u32 },
    #[error("{entries} outbox entries and {dead} dead-lettered purchases, of {in_flight} and {of}")]
    Miscounted { entries: usize, in_flight: i64, dead: usize, of: i64 },
}

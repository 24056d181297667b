//! What keeps the leader from replacing a queue that confirms and delivers nothing.

use std::time::Instant;

use crate::domain::SaleState;

/// Why a stalled queue may hold purchases that nothing else has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle {
    /// The outbox of a lost state is lost with it.
    NotIntact,
    /// A dead letter that was replayed is in the queue alone.
    DeadLetters,
}

impl Obstacle {
    /// Of a sale whose admission state is intact: every purchase that is not recorded is in its
    /// outbox, or was dead-lettered.
    pub(super) fn in_sale(state: &SaleState) -> Option<Self> {
        (state.dead > 0).then_some(Self::DeadLetters)
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NotIntact => "a sale has to be rebuilt from it, or can't be read",
            Self::DeadLetters => "a sale has dead letters, which may have been replayed into it",
        }
    }
}

/// What was done about the queue.
#[derive(Debug, Default)]
pub(super) struct Stalled {
    pub(super) replaced_at: Option<Instant>,
    pub(super) is_noted: bool,
}

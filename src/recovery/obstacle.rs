//! What keeps the leader from replacing a queue that does not answer.

use crate::domain::SaleState;
use crate::ledger::LedgerSale;

/// Why a queue may hold purchases that nothing else has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle {
    /// The outbox of a lost state is lost with it.
    NotIntact,
    /// A dead letter that was replayed is in the queue of purchases alone, any other one in the
    /// dead-letter queue.
    DeadLetters,
    /// Where a worker has taken a message, it may have dead-lettered a part.
    Recorded,
}

impl Obstacle {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NotIntact => "a sale has to be rebuilt from it, or can't be read",
            Self::DeadLetters => "a sale has dead letters",
            Self::Recorded => "purchases were recorded, and others may have been dead-lettered",
        }
    }
}

/// What this round has found in the way of replacing each queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Obstacles {
    pub(super) of_purchases: Option<Obstacle>,
    pub(super) of_dead_letters: Option<Obstacle>,
}

impl Obstacles {
    pub(super) fn not_intact(&mut self) {
        self.of_purchases = Some(Obstacle::NotIntact);
        self.of_dead_letters = Some(Obstacle::NotIntact);
    }

    /// Of a sale whose admission state is intact: every purchase that is not recorded is in its
    /// outbox, or was dead-lettered. While all that were ever admitted are in the outbox, no worker
    /// has taken a message.
    pub(super) fn add(&mut self, sale: &LedgerSale, state: &SaleState) {
        if state.dead > 0 {
            self.of_purchases.get_or_insert(Obstacle::DeadLetters);
            self.of_dead_letters.get_or_insert(Obstacle::DeadLetters);
        }
        let all_in_outbox = u64::from(state.next) == state.in_flight && sale.highest_unit == 0;
        if !all_in_outbox {
            self.of_dead_letters.get_or_insert(Obstacle::Recorded);
        }
    }
}

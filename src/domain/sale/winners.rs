//! A winner's record, and how a winner and the outbox entry come to be together.

use chrono::{DateTime, Utc};

use super::{Entry, SaleMachine};
use crate::domain::{EntryId, Purchase, PurchaseId, PurchaseState, UsedRight, UserId};

/// What `buyers` holds of a user: `unit purchase-id entry-id`, and a mark where
/// the purchase was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// 0: the record only keeps the user from buying.
    pub unit: u32,
    pub id: PurchaseId,
    pub entry: EntryId,
    /// An operator has cancelled the purchase, and it keeps the user from another one.
    pub is_cancelled: bool,
}

impl Winner {
    /// The record of a purchase that is not in the outbox, because the ledger or the dead-letter
    /// queue has it: its entry id has a sequence that no outbox gives out.
    pub fn without_entry(purchase: &Purchase) -> Self {
        let entry = EntryId::end_of(purchase.admitted_at);
        Self { unit: purchase.unit, id: purchase.id, entry, is_cancelled: false }
    }

    /// The record of a right that is used up.
    pub(super) fn of_right(right: &UsedRight) -> Self {
        Self { is_cancelled: right.is_cancelled, ..Self::without_entry(&right.purchase) }
    }

    /// Whether the record only keeps the user from buying.
    pub(super) fn is_used(self) -> bool {
        self.is_cancelled || self.unit == 0
    }
}

impl SaleMachine {
    /// Writes a winner with a new outbox entry. The id of the entry is the time; a clock that
    /// stands still or goes back does not reorder the outbox.
    pub(super) fn write_winner(
        &mut self,
        user: &UserId,
        unit: u32,
        id: PurchaseId,
        epoch: u64,
        now: DateTime<Utc>,
    ) -> Entry {
        let fresh = EntryId { sequence: 0, ..EntryId::end_of(now) };
        let last = self.outbox.last;
        let after_last = EntryId { sequence: last.sequence + 1, ..last };
        let winner = Winner { unit, id, entry: fresh.max(after_last), is_cancelled: false };
        let entry = self.entry(user, winner, epoch);
        self.outbox.last = entry.id;
        self.outbox.entries.insert(entry.id, entry.clone());
        self.count(|sale| sale.in_flight += 1);
        self.buyers.insert(user.clone(), winner);
        entry
    }

    pub(super) fn purchase(&self, user: &UserId, winner: Winner) -> Purchase {
        Purchase {
            id: winner.id,
            product: self.product.clone(),
            user: user.clone(),
            unit: winner.unit,
            admitted_at: winner.entry.admitted_at(),
        }
    }

    pub(super) fn entry(&self, user: &UserId, winner: Winner, epoch: u64) -> Entry {
        Entry { id: winner.entry, epoch, purchase: self.purchase(user, winner) }
    }

    pub(super) fn state_of(&self, winner: Winner) -> PurchaseState {
        match winner {
            Winner { is_cancelled: true, .. } => PurchaseState::Cancelled,
            _ if self.is_pending(winner) => PurchaseState::Pending,
            _ => PurchaseState::Confirmed,
        }
    }

    pub(super) fn is_pending(&self, winner: Winner) -> bool {
        !winner.is_cancelled && (self.is_in_outbox(winner) || self.dead.contains(&winner.id))
    }

    pub(super) fn is_in_outbox(&self, winner: Winner) -> bool {
        !winner.is_cancelled && self.outbox.entries.contains_key(&winner.entry)
    }
}

//! Reading a sale. Nothing here changes the state.

use std::ops::Bound::{Excluded, Included};

use chrono::{DateTime, Utc};

use super::{Contents, Entry, Found, Header, Known, NotAdmitting, SaleMachine};
use crate::domain::{EntryId, SaleState, UsedRight, UserId};

/// Units that have no owner: the fresh ones and the returned ones.
pub fn remaining(total_stock: u32, next: u32, free: usize) -> u32 {
    let free = u32::try_from(free).unwrap_or(u32::MAX);
    total_stock.saturating_sub(next).saturating_add(free)
}

impl SaleMachine {
    pub fn sale(&self, known: Known<'_>, now: DateTime<Utc>) -> Result<SaleState, NotAdmitting> {
        if let Header::Fenced { step, .. } = self.header {
            return Err(NotAdmitting::Rebuilding(step));
        }
        let sale = self.ready(known)?;
        self.check_integrity(sale)?;
        Ok(SaleState {
            epoch: sale.epoch,
            terms: sale.terms.clone(),
            next: sale.next,
            remaining: remaining(sale.terms.total_stock, sale.next, self.free.len()),
            in_flight: self.outbox.entries.len() as u64,
            dead: self.dead.len() as u64,
            newest: self.outbox.entries.last_key_value().map(|(id, _)| *id),
            now,
        })
    }

    /// A user's purchase. In a damaged state, one whose entry is lost would pass for recorded.
    pub fn find(&self, user: &UserId, known: Known<'_>) -> Result<Found, NotAdmitting> {
        let sale = self.ready(known)?;
        self.check_integrity(sale).map_err(|_damaged| NotAdmitting::NotReady)?;
        Ok(match self.buyers.get(user) {
            Some(&winner) => Found::Purchase(self.entry(user, winner, sale.epoch), self.state_of(winner)),
            None => Found::Nothing { revocations: sale.revoked },
        })
    }

    /// Entries after `after` and up to `up_to` inclusive, oldest first, at most `limit`: in
    /// whichever state the sale is, for the outbox holds promises that a rebuild needs.
    pub fn outbox(&self, after: EntryId, up_to: EntryId, limit: usize) -> Vec<Entry> {
        if after >= up_to {
            return Vec::new();
        }
        let range = self.outbox.entries.range((Excluded(after), Included(up_to)));
        range.take(limit).map(|(_, entry)| entry.clone()).collect()
    }

    /// Everything that `buyers` and `free` hold, winners ordered by unit and used rights by user:
    /// in whichever state the sale is.
    pub fn contents(&self) -> Contents {
        let (mut winners, mut used) = (Vec::new(), Vec::new());
        for (user, &winner) in &self.buyers {
            let (purchase, is_cancelled) = (self.purchase(user, winner), winner.is_cancelled);
            if winner.is_used() {
                used.push(UsedRight { purchase, is_cancelled });
            } else {
                winners.push(purchase);
            }
        }
        winners.sort_by_key(|winner| (winner.unit, winner.id));
        used.sort_by(|one, other| one.purchase.user.cmp(&other.purchase.user));
        Contents { winners, used, free: self.free.iter().copied().collect() }
    }
}

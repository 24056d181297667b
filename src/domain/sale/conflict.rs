//! Bringing admission in line with the ledger where the two disagree about a purchase: after data
//! was lost, a unit or a user may have been admitted twice, and the ledger decides. `balance` keeps
//! account of the units that this displaces.

use chrono::{DateTime, Utc};

use super::{Known, NotAdmitting, Reassignment, SaleMachine, Winner, WithdrawnUnit};
use crate::domain::Purchase;

/// A kept unit this far beyond the range makes the units between free, in one step; a unit further
/// away is not kept.
const GAP_MAX: u32 = 1000;

impl SaleMachine {
    /// Takes the admission of a purchase back. `stands`: the user's purchase in the ledger, if
    /// there is one; if not, this one is revoked. The purchase's id says which admission is meant,
    /// in whichever epoch. A unit returns at most once: only the step that removes the winner
    /// returns it. A state that is behind refuses, because the state that sells is another one.
    pub fn withdraw(
        &mut self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
        known: Known<'_>,
    ) -> Result<(), NotAdmitting> {
        let Some(sale) = self.open_sale_mut() else { return Ok(()) };
        Self::check_watermark(sale, known)?;
        sale.revoked |= stands.is_none();
        let admitted = self.buyers.get(&withdrawn.user).copied();
        let Some(winner) = admitted.filter(|winner| Self::counts(*winner, withdrawn.id)) else {
            return Ok(());
        };
        self.delete_entry(winner.entry);
        self.remove_dead(winner.id);
        match stands {
            Some(stands) => drop(self.buyers.insert(withdrawn.user.clone(), Winner::without_entry(stands))),
            None => drop(self.buyers.remove(&withdrawn.user)),
        }
        if unit == WithdrawnUnit::Returns {
            self.free.push_back(winner.unit);
        }
        let (returned, gone) = (unit == WithdrawnUnit::Returns, stands.is_none());
        self.count(|sale| sale.balance += i64::from(returned) - i64::from(gone));
        Ok(())
    }

    /// Gives a purchase a unit again: the one that it names, if `may_keep` and that unit is
    /// free, or else the lowest free one. Window and pause do not matter, since the
    /// purchase was admitted before.
    pub fn reassign(
        &mut self,
        purchase: &Purchase,
        may_keep: bool,
        known: Known<'_>,
        now: DateTime<Utc>,
    ) -> Result<Reassignment, NotAdmitting> {
        let epoch = self.ready(known)?.epoch;
        let user = &purchase.user;
        let old = self.buyers.get(user).copied();
        if let Some(winner) = old {
            if !Self::counts(winner, purchase.id) {
                return Ok(Reassignment::Other(self.entry(user, winner, epoch)));
            }
            if winner.unit != purchase.unit || may_keep {
                return Ok(Reassignment::Moved(self.entry(user, winner, epoch)));
            }
        }
        let kept = may_keep.then(|| self.take_unit(purchase.unit)).flatten();
        let Some(unit) = kept.or_else(|| self.take_lowest_unit()) else {
            return Ok(Reassignment::NoUnitLeft);
        };
        if let Some(winner) = old {
            self.delete_entry(winner.entry);
            self.count(|sale| sale.balance -= 1); // The old unit has no buyer now, and is not free.
        }
        Ok(Reassignment::Moved(self.write_winner(user, unit, purchase.id, epoch, now)))
    }

    /// Makes a winner of the owner of a unit in the ledger, unless that user has a purchase here.
    pub fn adopt(&mut self, owner: &Purchase) {
        if self.open_sale().is_none() || self.buyers.contains_key(&owner.user) {
            return;
        }
        let was_free = self.take_free(owner.unit).is_some();
        self.buyers.insert(owner.user.clone(), Winner::without_entry(owner));
        self.count(|sale| sale.balance += i64::from(!was_free));
    }

    /// Puts a winner's purchase into the outbox again. False: there is no such winner, or
    /// the entry is there.
    pub fn republish(&mut self, purchase: &Purchase, now: DateTime<Utc>) -> bool {
        let Some(epoch) = self.open_sale().map(|sale| sale.epoch) else { return false };
        let winner = self.buyers.get(&purchase.user).filter(|winner| Self::counts(**winner, purchase.id));
        let lost = winner.filter(|winner| !self.outbox.entries.contains_key(&winner.entry));
        let Some(unit) = lost.map(|winner| winner.unit) else { return false };
        self.write_winner(&purchase.user, unit, purchase.id, epoch, now);
        true
    }

    /// Takes this unit, if it is free or within reach beyond the range.
    fn take_unit(&mut self, unit: u32) -> Option<u32> {
        if let Some(free) = self.take_free(unit) {
            return Some(free);
        }
        let sale = self.open_sale_mut()?;
        let next = sale.next;
        if unit <= next || unit > next.saturating_add(GAP_MAX).min(sale.terms.total_stock) {
            return None;
        }
        sale.next = unit;
        self.free.extend(next + 1..unit);
        Some(unit)
    }

    fn take_lowest_unit(&mut self) -> Option<u32> {
        match self.free.iter().min().copied() {
            Some(lowest) => self.take_free(lowest),
            None => self.next_unit(),
        }
    }

    fn take_free(&mut self, unit: u32) -> Option<u32> {
        let position = self.free.iter().position(|free| *free == unit)?;
        self.free.remove(position)
    }
}

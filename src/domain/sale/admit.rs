//! Deciding one attempt.

use chrono::{DateTime, Utc};

use super::{Decision, Known, NotAdmitting, SaleMachine, remaining};
use crate::domain::{PurchaseId, UserId};

impl SaleMachine {
    /// Decides one attempt; `id` becomes the purchase's if the user wins, and the same attempt
    /// again wins again. A user who has a purchase learns it also before, after and during a pause.
    /// Returned units are sold before fresh ones.
    pub fn admit(
        &mut self,
        user: &UserId,
        id: PurchaseId,
        known: Known<'_>,
        now: DateTime<Utc>,
    ) -> Result<Decision, NotAdmitting> {
        let sale = self.ready(known)?;
        let epoch = sale.epoch;
        if let Some(&winner) = self.buyers.get(user) {
            self.check_integrity(sale).map_err(|_damaged| NotAdmitting::NotReady)?;
            let entry = self.entry(user, winner, epoch);
            let is_same_attempt = Self::counts(winner, id);
            return Ok(if is_same_attempt {
                Decision::Won(entry)
            } else if self.is_in_outbox(winner) {
                Decision::InOutbox(entry)
            } else {
                Decision::Already(entry, self.state_of(winner))
            });
        }
        let left = remaining(sale.terms.total_stock, sale.next, self.free.len());
        if let Some(refused) = sale.terms.phase(now, left).refusal() {
            return Ok(Decision::Refused(refused));
        }
        self.check_integrity(sale).map_err(|_damaged| NotAdmitting::NotReady)?;
        let unit = match self.free.pop_front() {
            Some(returned) => returned,
            None => self.next_unit().ok_or(NotAdmitting::NotReady)?,
        };
        Ok(Decision::Won(self.write_winner(user, unit, id, epoch, now)))
    }

    /// Takes the next fresh unit, if there is one.
    pub(super) fn next_unit(&mut self) -> Option<u32> {
        let sale = self.open_sale_mut()?;
        if sale.next >= sale.terms.total_stock {
            return None;
        }
        sale.next += 1;
        Some(sale.next)
    }
}

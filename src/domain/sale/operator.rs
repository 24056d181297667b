//! What operators decide about purchases, carried over from the ledger, which has each decision
//! before.

use super::{Known, NotAdmitting, SaleMachine, Winner};
use crate::domain::{Purchase, PurchaseId, UserId};

impl SaleMachine {
    /// Takes a purchase out of the sale that the ledger has as cancelled. A unit returns at
    /// most once: only the step that changes the winner returns it. False: there is no such
    /// winner, or no more.
    pub fn cancel(
        &mut self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
        known: Known<'_>,
    ) -> Result<bool, NotAdmitting> {
        self.ready(known)?;
        let user = &cancelled.user;
        let admitted = self.buyers.get(user).copied();
        let Some(winner) = admitted.filter(|winner| Self::counts(*winner, cancelled.id)) else {
            return Ok(false);
        };
        self.delete_entry(winner.entry);
        self.remove_dead(winner.id);
        if may_buy_again {
            self.buyers.remove(user);
        } else {
            let unit = if keeps_unit { winner.unit } else { 0 };
            self.buyers.insert(user.clone(), Winner { unit, is_cancelled: true, ..winner });
        }
        if !keeps_unit {
            self.free.push_back(winner.unit);
        }
        self.count(|sale| {
            sale.balance += i64::from(!keeps_unit) - i64::from(may_buy_again);
            sale.revoked |= may_buy_again;
        });
        Ok(true)
    }

    /// Uses up the rights of users who bought elsewhere, unless they have a purchase here.
    pub fn bar(&mut self, earlier: &[Purchase], known: Known<'_>) -> Result<(), NotAdmitting> {
        self.ready(known)?;
        for purchase in earlier {
            if !self.buyers.contains_key(&purchase.user) {
                let winner = Winner { unit: 0, ..Winner::without_entry(purchase) };
                self.buyers.insert(purchase.user.clone(), winner);
                self.count(|sale| sale.balance += 1);
            }
        }
        Ok(())
    }

    /// Gives what a user has to another name, which must be new. False: a purchase of the user is
    /// still on its way under the present name, or the other name is not new; nothing has changed.
    pub fn rename(
        &mut self,
        user: &UserId,
        pseudonym: &UserId,
        known: Known<'_>,
    ) -> Result<bool, NotAdmitting> {
        self.ready(known)?;
        let Some(&winner) = self.buyers.get(user) else { return Ok(true) };
        if self.is_pending(winner) || self.buyers.contains_key(pseudonym) {
            return Ok(false);
        }
        self.buyers.remove(user);
        self.buyers.insert(pseudonym.clone(), winner);
        Ok(true)
    }

    /// Whether a winner's record is of this purchase, and the purchase counts.
    pub(super) fn counts(winner: Winner, id: PurchaseId) -> bool {
        winner.id == id && !winner.is_used()
    }
}

//! What operators decide about purchases, in the tables.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use flashsale::{
    domain::{
        AdmissionChange, Cancellation, ChangeKind, LedgerCounts, ProductId, Purchase, PurchaseId,
        RecordedPurchase, UserId,
    },
    ledger::{Cancelled, Erased, Imported},
};

use super::tables::Tables;

impl Tables {
    pub(super) fn cancel(
        &mut self,
        id: PurchaseId,
        cancellation: &Cancellation,
        now: DateTime<Utc>,
    ) -> Option<Cancelled> {
        let pending = |tables: &Self| {
            let of_id =
                |kind: &ChangeKind| matches!(kind, ChangeKind::Cancel { purchase, .. } if purchase.id == id);
            tables.changes.iter().find(|(_, kind)| of_id(kind)).map(|(number, _)| *number)
        };
        if let Some(before) = self.cancelled.get(&id).cloned() {
            return Some(Cancelled { purchase: before, is_new: false, change: pending(self) });
        }
        let mut recorded = self.recorded_purchase(id)?;
        let purchase = recorded.purchase.clone();
        self.remove(&purchase);
        recorded.cancelled = Some((now, cancellation.clone()));
        self.cancelled.insert(id, recorded.clone());
        let Cancellation { keeps_unit, may_buy_again, .. } = *cancellation;
        let change = self.add_change(ChangeKind::Cancel { purchase, keeps_unit, may_buy_again });
        Some(Cancelled { purchase: recorded, is_new: true, change: Some(change) })
    }

    fn add_change(&mut self, kind: ChangeKind) -> u64 {
        self.last_change += 1;
        self.changes.insert(self.last_change, kind);
        self.last_change
    }

    pub(super) fn import(&mut self, product: &ProductId, earlier: &[Purchase]) -> Imported {
        let mut imported = Imported::default();
        for purchase in earlier {
            let key = (product.clone(), purchase.user.clone());
            if self.earlier.contains_key(&key) || self.holds_right(product, &purchase.user) {
                continue;
            }
            self.earlier.insert(key, purchase.clone());
            imported.added += 1;
            imported.change = Some(self.add_change(ChangeKind::Import(purchase.clone())));
        }
        imported
    }

    pub(super) fn earlier_buyers(&self, product: &ProductId, after: Option<&UserId>) -> Vec<Purchase> {
        let such = |((of, user), _): &(&(ProductId, UserId), &Purchase)| {
            of == product && after.is_none_or(|after| user > after) && !self.holds_right(product, user)
        };
        self.earlier.iter().filter(such).map(|(_, purchase)| purchase.clone()).collect()
    }

    /// Whether a purchase of the user counts, or keeps the user from another one.
    pub(super) fn holds_right(&self, product: &ProductId, user: &UserId) -> bool {
        self.purchase_of(product, user).is_some() || self.right_is_used(product, user)
    }

    pub(super) fn right_is_used(&self, product: &ProductId, user: &UserId) -> bool {
        let mut rights = self.cancelled.values().filter_map(|row| row.claims().used);
        rights.any(|right| (&right.purchase.product, &right.purchase.user) == (product, user))
    }

    /// Units of cancelled purchases that are not sold again.
    pub(crate) fn withheld(&self, product: &ProductId) -> BTreeSet<u32> {
        let rows = self.cancelled.values().filter(|row| row.purchase.product == *product);
        rows.filter_map(|row| row.claims().withheld).collect()
    }

    pub(crate) fn cancelled(&self) -> impl Iterator<Item = &RecordedPurchase> {
        self.cancelled.values()
    }

    pub(super) fn counts(&self, product: &ProductId) -> LedgerCounts {
        let returns = |kind: &&ChangeKind| matches!(kind, ChangeKind::Cancel { purchase, keeps_unit: false, .. } if purchase.product == *product);
        LedgerCounts {
            recorded: self.rows(product, 0).count() as u64,
            withheld: self.withheld(product).len() as u64,
            returning: self.changes.values().filter(returns).count() as u64,
        }
    }

    /// Everything that was recorded, in order.
    pub(super) fn recorded(&self, product: &ProductId, after: (u32, PurchaseId)) -> Vec<RecordedPurchase> {
        let rows = self.rows(product, 0).filter_map(|row| self.recorded_purchase(row.id));
        let cancelled = self.cancelled.values().filter(|row| row.purchase.product == *product).cloned();
        let mut all: Vec<_> = rows.chain(cancelled).filter(|row| row.position() > after).collect();
        all.sort_by_key(RecordedPurchase::position);
        all
    }

    pub(super) fn changes(&self, after: u64) -> Vec<AdmissionChange> {
        let later = self.changes.range(after + 1..);
        later.map(|(number, kind)| AdmissionChange { number: *number, kind: kind.clone() }).collect()
    }

    pub(super) fn complete(&mut self, changes: &[AdmissionChange]) {
        for AdmissionChange { number, kind } in changes {
            if let ChangeKind::Rename { product, user, pseudonym } = kind {
                self.rename(Some(product), user, pseudonym);
            }
            self.changes.remove(number);
        }
    }

    pub(super) fn erase(&mut self, user: &UserId, pseudonym: &UserId) -> Erased {
        let under_way = self.changes.values().find_map(|kind| match kind {
            ChangeKind::Rename { user: renamed, pseudonym, .. } if renamed == user => Some(pseudonym.clone()),
            _ => None,
        });
        let products: Vec<_> = self.products.keys().cloned().collect();
        let is_new = under_way.is_none();
        let pseudonym = under_way.unwrap_or_else(|| pseudonym.clone());
        let mut erased = self.rename(None, user, &pseudonym);
        for product in products.into_iter().filter(|_| is_new) {
            let (user, pseudonym) = (user.clone(), pseudonym.clone());
            erased.changes.push(self.add_change(ChangeKind::Rename { product, user, pseudonym }));
        }
        erased
    }

    fn rename(&mut self, product: Option<&ProductId>, user: &UserId, pseudonym: &UserId) -> Erased {
        let mut erased = Erased::default();
        let concerns = |of: &ProductId, owner: &UserId| product.is_none_or(|one| one == of) && owner == user;
        let products: Vec<_> = self.products.keys().cloned().collect();
        for of in products.iter().filter(|of| concerns(of, user)) {
            let is_free = !self.holds_right(of, pseudonym);
            if let Some(mut row) = self.purchase_of(of, user).cloned().filter(|_| is_free) {
                let confirmed_at =
                    self.recorded_purchase(row.id).map(|row| row.confirmed_at).unwrap_or_default();
                self.remove(&row);
                row.user = pseudonym.clone();
                self.erased.insert(row.id);
                self.insert(row, confirmed_at);
                erased.purchases += 1;
            }
            if let Some(mut earlier) = self.earlier.remove(&(of.clone(), user.clone())) {
                earlier.user = pseudonym.clone();
                self.earlier.insert((of.clone(), pseudonym.clone()), earlier);
                erased.imports += 1;
            }
        }
        for row in self.cancelled.values_mut().map(|row| &mut row.purchase) {
            if concerns(&row.product, &row.user) {
                row.user = pseudonym.clone();
                self.erased.insert(row.id);
                erased.purchases += 1;
            }
        }
        for row in &mut self.revocations {
            if concerns(&row.product, &row.user) {
                row.user = pseudonym.clone();
                erased.revocations += 1;
            }
        }
        erased
    }
}

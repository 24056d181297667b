//! Removing purchases from the outbox once the ledger, or the dead-letter queue, has them.

use super::{Entry, OpenSale, SaleMachine};
use crate::domain::{EntryId, PurchaseId};

impl SaleMachine {
    /// Deletes the outbox entries of purchases that the ledger has. Entries of another
    /// epoch are left alone.
    pub fn settle(&mut self, entries: &[Entry]) {
        for entry in self.of_this_epoch(entries) {
            self.delete_entry(entry.id);
            self.remove_dead(entry.purchase.id);
        }
    }

    /// Deletes the outbox entries of purchases that the dead-letter queue has, and counts them as
    /// dead-lettered: they stay pending. A purchase that had no entry is not counted, since it has
    /// no unit of this sale.
    pub fn mark_dead_lettered(&mut self, entries: &[Entry]) {
        for entry in self.of_this_epoch(entries) {
            if self.delete_entry(entry.id) && self.dead.insert(entry.purchase.id) {
                self.count(|sale| sale.dead += 1);
            }
        }
    }

    /// False: there is no such entry.
    pub(super) fn delete_entry(&mut self, entry: EntryId) -> bool {
        let was_there = self.outbox.entries.remove(&entry).is_some();
        if was_there {
            self.count(|sale| sale.in_flight -= 1);
        }
        was_there
    }

    pub(super) fn remove_dead(&mut self, id: PurchaseId) {
        if self.dead.remove(&id) {
            self.count(|sale| sale.dead -= 1);
        }
    }

    pub(super) fn count(&mut self, count: impl FnOnce(&mut OpenSale)) {
        if let Some(sale) = self.open_sale_mut() {
            count(sale);
        }
    }

    fn of_this_epoch<'entries>(
        &self,
        entries: &'entries [Entry],
    ) -> impl Iterator<Item = &'entries Entry> + use<'entries> {
        let epoch = self.open_sale().map(|sale| sale.epoch);
        entries.iter().filter(move |entry| Some(entry.epoch) == epoch)
    }
}

//! Removing purchases from the outbox once the ledger, or the dead-letter queue, has them.

use super::{Entry, SaleMachine};

impl SaleMachine {
    /// Deletes the outbox entries of purchases that the ledger has. Entries of another
    /// epoch are left alone.
    pub fn settle(&mut self, entries: &[Entry]) {
        for entry in self.of_this_epoch(entries) {
            self.outbox.entries.remove(&entry.id);
            self.dead.remove(&entry.purchase.id);
        }
    }

    /// Deletes the outbox entries of purchases that the dead-letter queue has, and counts them as
    /// dead-lettered: they stay pending. A purchase that had no entry is not counted, since it has
    /// no unit of this sale.
    pub fn mark_dead_lettered(&mut self, entries: &[Entry]) {
        for entry in self.of_this_epoch(entries) {
            if self.outbox.entries.remove(&entry.id).is_some() {
                self.dead.insert(entry.purchase.id);
            }
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

//! What a process has published and the broker has not confirmed.

use std::collections::{HashSet, VecDeque};

use crate::domain::{Entry, EntryKey};

/// Entries in the order in which they came, each once.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    entries: VecDeque<Entry>,
    keys: HashSet<EntryKey>,
    max: usize,
}

impl Unconfirmed {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), keys: HashSet::new(), max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many of the oldest ones were given up for these.
    pub(super) fn add(&mut self, entries: Vec<Entry>) -> usize {
        for entry in entries {
            if self.keys.insert(entry.key()) {
                self.entries.push_back(entry);
            }
        }
        self.take(self.len().saturating_sub(self.max)).len()
    }

    /// The oldest ones, at most so many.
    pub(super) fn take(&mut self, number: usize) -> Vec<Entry> {
        let taken: Vec<_> = self.entries.drain(..number.min(self.len())).collect();
        for entry in &taken {
            self.keys.remove(&entry.key());
        }
        taken
    }

    /// Puts what was taken back in its place.
    pub(super) fn put_back(&mut self, taken: Vec<Entry>) {
        for entry in taken.into_iter().rev() {
            if self.keys.insert(entry.key()) {
                self.entries.push_front(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EntryId, ProductId, Purchase, PurchaseId, UserId};

    fn entry(unit: u32) -> Entry {
        let id = EntryId { millis: unit.into(), sequence: 0 };
        let purchase = Purchase {
            id: PurchaseId::new(id.admitted_at(), [unit.into(), 0]),
            product: ProductId::parse("limited-001").expect("id"),
            user: UserId::parse("a").expect("id"),
            unit,
            admitted_at: id.admitted_at(),
        };
        Entry { id, epoch: 1, purchase }
    }

    #[test]
    fn each_entry_is_kept_once_and_the_oldest_ones_give_way() {
        let mut unconfirmed = Unconfirmed::new(3);
        assert_eq!(unconfirmed.add(vec![entry(1), entry(2), entry(1)]), 0);
        assert_eq!(unconfirmed.len(), 2);
        let taken = unconfirmed.take(1);
        assert_eq!(taken, [entry(1)]);
        assert_eq!(unconfirmed.add(vec![entry(1), entry(3), entry(4)]), 1, "entry 2 has given way");
        unconfirmed.put_back(taken);
        assert_eq!(unconfirmed.take(9), [entry(1), entry(3), entry(4)]);
        assert!(unconfirmed.is_empty());
    }
}

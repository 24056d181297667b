//! In whose name a batch is recorded.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crate::domain::{Entry, ProductId, PurchaseId};
use crate::ledger::Writer;

#[derive(Clone, Debug)]
pub enum Mode {
    /// A worker's, while everything is selling.
    Working,
    /// A rebuild's, which has made the workers stand aside, and stopped the
    /// admission of these products.
    Rebuilding(Rebuilding),
}

/// The products that are being rebuilt.
#[derive(Clone, Debug)]
pub struct Rebuilding {
    stopped: BTreeMap<ProductId, RebuildEpochs>,
    /// Purchases that are in the queue again, until admission is open. Clones share them, so that
    /// a purchase which several sources have is there once.
    deferred: Arc<Mutex<HashSet<PurchaseId>>>,
}

/// The epochs of a product that is being rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildEpochs {
    /// The earliest one that admitted what can be recorded as it is.
    pub valid_from: u64,
    /// The rebuild's own. What is recorded in its name is refused once another rebuild has begun.
    pub rebuild: u64,
}

impl Rebuilding {
    pub fn new(stopped: BTreeMap<ProductId, RebuildEpochs>) -> Self {
        Self { stopped, deferred: Arc::default() }
    }

    /// The same rebuild once the queue is drained: what any epoch admitted can be recorded as it
    /// is, where unit and buyer are free.
    #[must_use]
    pub fn of_any_epoch(&self) -> Self {
        let mut stopped = self.stopped.clone();
        for epochs in stopped.values_mut() {
            epochs.valid_from = 0;
        }
        Self { stopped, deferred: self.deferred.clone() }
    }

    pub fn is_stopped(&self, product: &ProductId) -> bool {
        self.stopped.contains_key(product)
    }

    pub fn products(&self) -> impl Iterator<Item = &ProductId> {
        self.stopped.keys()
    }

    pub(super) fn is_deferred(&self, purchase: PurchaseId) -> bool {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).contains(&purchase)
    }

    pub(super) fn note_deferred(&self, purchase: PurchaseId) {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).insert(purchase);
    }
}

impl Mode {
    /// The rebuild that has stopped this product.
    pub(super) fn rebuilding(&self, product: &ProductId) -> Option<&Rebuilding> {
        match self {
            Self::Rebuilding(rebuilding) => Some(rebuilding).filter(|one| one.is_stopped(product)),
            Self::Working => None,
        }
    }

    /// The entry with the epoch to compare with the ledger's.
    pub(super) fn entry(&self, entry: &Entry) -> Entry {
        Entry { epoch: self.epoch_of(&entry.purchase.product, entry.epoch), ..entry.clone() }
    }

    fn epoch_of(&self, product: &ProductId, epoch: u64) -> u64 {
        let epochs = self.rebuilding(product).and_then(|rebuilding| rebuilding.stopped.get(product));
        match epochs {
            Some(RebuildEpochs { valid_from, rebuild }) if epoch >= *valid_from => *rebuild,
            _ => epoch,
        }
    }

    pub(super) fn writer(&self) -> Writer {
        match self {
            Self::Working => Writer::Worker,
            Self::Rebuilding(_) => Writer::Rebuild,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_records_in_its_own_name_what_the_latest_open_epoch_admitted() {
        let product = |id: &str| ProductId::parse(id).unwrap();
        let stopped = BTreeMap::from([(product("a"), RebuildEpochs { valid_from: 3, rebuild: 5 })]);
        let rebuilding = Rebuilding::new(stopped);
        let mode = Mode::Rebuilding(rebuilding.clone());
        assert_eq!(mode.epoch_of(&product("a"), 3), 5);
        assert_eq!(mode.epoch_of(&product("a"), 2), 2, "its units may have been handed out anew");
        assert_eq!(mode.epoch_of(&product("b"), 3), 3, "another product, which sells");
        let mode = Mode::Rebuilding(rebuilding.of_any_epoch());
        assert_eq!(mode.epoch_of(&product("a"), 2), 5, "after the queue");
        assert_eq!(Mode::Working.epoch_of(&product("a"), 3), 3);
    }
}

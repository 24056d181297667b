//! In whose name a batch is recorded.

use std::collections::BTreeMap;

use crate::domain::{Entry, ProductId};
use crate::ledger::Writer;

#[derive(Clone, Debug)]
pub enum Mode {
    /// A worker's, while everything is selling.
    Working,
    /// A rebuild's, which has made the workers stand aside, and stopped the
    /// admission of these products.
    Rebuilding(BTreeMap<ProductId, RebuildEpochs>),
}

/// The epochs of a product that is being rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildEpochs {
    /// The latest one that was open: what it admitted can be recorded as it is, because nothing was
    /// handed out anew since.
    pub opened: u64,
    /// The rebuild's own. What is recorded in its name is refused once another rebuild has begun.
    pub rebuild: u64,
}

impl Mode {
    pub(super) fn is_stopped(&self, product: &ProductId) -> bool {
        matches!(self, Self::Rebuilding(stopped) if stopped.contains_key(product))
    }

    /// The entry with the epoch to compare with the ledger's.
    pub(super) fn entry(&self, entry: &Entry) -> Entry {
        Entry { epoch: self.epoch_of(&entry.purchase.product, entry.epoch), ..entry.clone() }
    }

    fn epoch_of(&self, product: &ProductId, epoch: u64) -> u64 {
        match self {
            Self::Rebuilding(stopped) => match stopped.get(product) {
                Some(RebuildEpochs { opened, rebuild }) if epoch >= *opened => *rebuild,
                _ => epoch,
            },
            Self::Working => epoch,
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
        let stopped = BTreeMap::from([(product("a"), RebuildEpochs { opened: 3, rebuild: 5 })]);
        let mode = Mode::Rebuilding(stopped);
        assert_eq!(mode.epoch_of(&product("a"), 3), 5);
        assert_eq!(mode.epoch_of(&product("a"), 2), 2, "its units may have been handed out anew");
        assert_eq!(mode.epoch_of(&product("b"), 3), 3, "another product, which sells");
        assert_eq!(Mode::Working.epoch_of(&product("a"), 3), 3);
    }
}

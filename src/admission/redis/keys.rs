//! Names of a product's keys. All share the product's hash tag, and so a Cluster slot. What each
//! key holds is said in `scripts/prelude.lua`.

use crate::domain::ProductId;

/// The keys of one product, in the order in which every script takes them.
#[derive(Clone, Debug)]
pub struct Keys {
    pub sale: String,
    pub free: String,
    pub buyers: String,
    pub outbox: String,
    pub dead: String,
}

impl Keys {
    pub fn new(prefix: &str, product: &ProductId) -> Self {
        let key = |name: &str| format!("{prefix}:{{{product}}}:{name}");
        Self {
            sale: key("sale"),
            free: key("free"),
            buyers: key("buyers"),
            outbox: key("outbox"),
            dead: key("dead"),
        }
    }

    /// The names under which a rebuild stages `free`, `buyers` and `dead` for this epoch.
    pub fn staged(&self, epoch: u64) -> [String; 3] {
        [&self.free, &self.buyers, &self.dead].map(|key| format!("{key}:epoch-{epoch}"))
    }

    pub(super) fn in_order(&self) -> [&String; 5] {
        [&self.sale, &self.free, &self.buyers, &self.outbox, &self.dead]
    }
}

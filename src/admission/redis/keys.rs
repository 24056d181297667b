//! Names of a product's keys. All share the product's hash tag, and so a Cluster slot.

use crate::domain::ProductId;

/// The keys of one product.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Hash: epoch, total, next, window, paused.
    pub sale: String,
    /// List: returned units below `next`.
    pub free: String,
    /// Hash: user to unit, purchase and entry.
    pub buyers: String,
    /// Stream: admitted purchases that the ledger doesn't have yet.
    pub outbox: String,
    /// Set: ids of purchases that are in the dead-letter queue.
    pub dead: String,
    /// What a rebuild has staged of `free`.
    pub staged_free: String,
    /// What a rebuild has staged of `buyers`.
    pub staged_buyers: String,
}

impl Keys {
    /// The keys under `prefix`; staged ones carry the epoch that they are for.
    pub fn new(prefix: &str, product: &ProductId, epoch: u64) -> Self {
        let key = |name: &str| format!("{prefix}:{{{product}}}:{name}");
        Self {
            sale: key("sale"),
            free: key("free"),
            buyers: key("buyers"),
            outbox: key("outbox"),
            dead: key("dead"),
            staged_free: key(&format!("free:epoch-{epoch}")),
            staged_buyers: key(&format!("buyers:epoch-{epoch}")),
        }
    }
}

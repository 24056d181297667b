//! What the stores hold of one product, read after all purchases were recorded.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::{Entry, Purchase, PurchaseId, SaleState, Terms};

#[derive(Clone, Debug)]
pub struct Evidence {
    /// As the ledger has them.
    pub terms: Terms,
    /// The purchases in the ledger.
    pub rows: Vec<Purchase>,
    /// When the transaction of each row began, by the database's clock.
    pub confirmed_at: HashMap<PurchaseId, DateTime<Utc>>,
    /// The rows from before the history began, which no attempt in it explains.
    pub before: HashSet<PurchaseId>,
    /// The user of each revoked purchase.
    pub revocations: HashMap<String, String>,
    /// `None`: admission can't be read from here.
    pub admission: Option<AdmissionState>,
    /// Messages in the queue of purchases; `None`: the broker can't be read from here.
    pub queued: Option<u32>,
    /// The purchases in the dead-letter queue.
    pub dead: Vec<Purchase>,
}

/// Everything that admission holds of a product.
#[derive(Clone, Debug)]
pub struct AdmissionState {
    pub sale: SaleState,
    pub winners: Vec<Purchase>,
    /// Units that were returned.
    pub free: Vec<u32>,
    /// No unit was taken or returned while this was read.
    pub at_rest: bool,
    pub outbox: Vec<Entry>,
}

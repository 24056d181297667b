//! What the stores hold of one product, read when nothing is on its way any more.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::{Entry, Purchase, PurchaseId, SaleState, Terms};

/// What the stores hold, and what clients saw.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The terms of the sale, as the ledger has them.
    pub terms: Terms,
    /// Purchases in the ledger.
    pub rows: Vec<Purchase>,
    /// When each of them was recorded, by the database's clock at the beginning of its transaction.
    pub confirmed_at: HashMap<PurchaseId, DateTime<Utc>>,
    /// Those of them that were there before the history began: nobody in it has asked for them.
    pub before: HashSet<PurchaseId>,
    /// Ids of purchases that were taken back, with the user.
    pub revocations: HashMap<String, String>,
    /// Admission's state; `None`: it can't be read from here.
    pub admission: Option<AdmissionState>,
    /// Messages in the queue of purchases; `None`: it can't be read from here.
    pub queued: Option<u32>,
    /// Purchases in the dead-letter queue.
    pub dead: Vec<Purchase>,
}

/// Everything that admission holds of a product.
#[derive(Clone, Debug)]
pub struct AdmissionState {
    /// The sale.
    pub sale: SaleState,
    /// Who has which unit.
    pub winners: Vec<Purchase>,
    /// Returned units.
    pub free: Vec<u32>,
    /// Whether no unit was handed out or returned while all of this was read.
    pub at_rest: bool,
    /// Purchases on their way.
    pub outbox: Vec<Entry>,
}

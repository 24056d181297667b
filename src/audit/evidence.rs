//! What the stores hold of one product, read when nothing is on its way any more.

use std::collections::HashMap;

use crate::domain::{OutboxEntry, Purchase, SaleState, Terms};

/// What the stores hold, and what clients saw.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The terms of the sale, as the ledger has them.
    pub terms: Terms,
    /// Purchases in the ledger.
    pub rows: Vec<Purchase>,
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
    /// Purchases on their way.
    pub outbox: Vec<OutboxEntry>,
}

//! What becomes of purchases that admission has made: recorded, revoked, or given up.

use async_trait::async_trait;

use super::LedgerError;
use crate::domain::{Entry, LedgerVerdict, Purchase, PurchaseId};

/// In whose name a batch is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A worker's, which stands aside while a rebuild takes its snapshot.
    Worker,
    /// The rebuild's, which has made the workers stand aside.
    Rebuild,
}

/// A dead letter that an operator has given up.
#[derive(Clone, Debug)]
pub struct Discard {
    pub letter_id: String,
    /// A purchase in the letter, if it holds any.
    pub purchase: Option<PurchaseId>,
    /// The message, as it is.
    pub body: Vec<u8>,
    /// Why it was a dead letter.
    pub letter_reason: String,
    pub discarded_by: String,
    /// Why it was given up.
    pub reason: String,
}

/// Records the purchases that admission has made.
#[async_trait]
pub trait RecordingLedger: Send + Sync {
    /// Records a batch and returns a verdict on each purchase, in order.
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError>;

    /// Records that a purchase was taken back, and why. False: it is in the ledger, and stays,
    /// or was revoked before.
    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError>;

    /// Records that an operator gave a dead letter up.
    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError>;
}

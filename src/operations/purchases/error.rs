//! Why an operation on purchases was not done.

use crate::domain::{ProductId, PurchaseId};
use crate::ledger::LedgerError;
use crate::operations::dead_letters::DeadLetterError;

#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    #[error("the reason must have 1 to {0} characters, in one line")]
    BadReason(usize),
    #[error("the ledger has no purchase {0}; one that is still in flight is recorded within seconds")]
    Unknown(PurchaseId),
    #[error("there is no product {0} in the ledger")]
    UnknownProduct(ProductId),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
}

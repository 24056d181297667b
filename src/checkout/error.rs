//! Why a buyer or a reader gets no answer.

use crate::{admission::AdmissionError, ledger::LedgerError};

#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The embedded ledger has not committed in time. Repeating is safe.
    #[error("the purchase is not in the database yet, the outcome is unknown")]
    NotCommitted,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl CheckoutError {
    /// Whether the attempt may have taken effect.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Admission(error) => error.is_unknown(),
            Self::NotCommitted => true,
            Self::Ledger(_) => false,
        }
    }
}

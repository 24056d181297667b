//! Why a batch was not recorded.

use crate::{admission::AdmissionError, broker::BrokerError, domain::PurchaseId, ledger::LedgerError};

/// Why a step did not finish. Repeating it is safe, and goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The ledger did not take the batch.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A conflict could not be settled because admission can't be reached, or a
    /// rebuild is under way.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// A dead letter could not be published.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Each unit that a purchase was given went to someone else in the meantime.
    #[error("purchase {0} keeps losing its unit")]
    KeepsLosing(PurchaseId),
}

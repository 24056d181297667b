//! Why a rebuild, or a round of the leader, did not finish.

use crate::admission::{AdmissionError, Opening};
use crate::broker::BrokerError;
use crate::ledger::LedgerError;
use crate::worker::StepError;

/// The next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The ledger can't be reached, or the lead is lost.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What was drained could not be recorded.
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("the broker's bindings, and so its fence, are out of reach")]
    BindingsNotHeld,
    #[error("{0} consumers have not left the queue")]
    ConsumersStay(u32),
    #[error("the queue holds back {0} messages")]
    QueueStalls(u32),
    #[error("admission could not be stopped: its state claims epoch {0}")]
    NotStopped(u64),
    /// Of one product, with the reason.
    #[error("not rebuilt yet, trying again: {0}")]
    NotRebuilt(String),
    #[error("the rebuilt state was not put in place: {0}")]
    NotOpened(Opening),
}

//! Operations on the dead-letter queue. Each holds all dead letters while it runs, so that two
//! operations exclude each other.

mod discard;
mod read;
mod replay;

pub use discard::discard;
pub use read::{list, show};
pub use replay::{Selection, replay};

use crate::admission::AdmissionError;
use crate::broker::{Broker, BrokerError, DeadLetter, DeadLetters};
use crate::ledger::LedgerError;

#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("the embedded mode has no dead letters: what can't be recorded is not answered SUCCESS")]
    NoQueue,
    #[error("there is no dead letter {0}")]
    Unknown(String),
    #[error("{number} dead letters begin with {id}")]
    Ambiguous { id: String, number: usize },
    #[error("the reason must not be empty")]
    NoReason,
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
}

/// Runs `operation` while the dead letters are held, and gives them back to the queue,
/// also after an error.
async fn while_held<T>(
    broker: &dyn Broker,
    operation: impl AsyncFnOnce(&mut dyn DeadLetters) -> Result<T, DeadLetterError>,
) -> Result<T, DeadLetterError> {
    let mut held = broker.dead_letters().await?.ok_or(DeadLetterError::NoQueue)?;
    let result = operation(&mut *held).await;
    held.close().await;
    result
}

/// The dead letter whose id begins with `id`.
fn find(held: &dyn DeadLetters, id: &str) -> Result<DeadLetter, DeadLetterError> {
    let mut found: Vec<_> = held.letters().into_iter().filter(|letter| letter.id.starts_with(id)).collect();
    found.dedup_by_key(|letter| &letter.id);
    match found.as_slice() {
        [] => Err(DeadLetterError::Unknown(id.to_owned())),
        [letter] => Ok((*letter).clone()),
        several => Err(DeadLetterError::Ambiguous { id: id.to_owned(), number: several.len() }),
    }
}

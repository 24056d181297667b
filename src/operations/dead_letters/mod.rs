//! Operations on the dead-letter queue. Each holds all dead letters while it runs, so that two
//! operations exclude each other.

mod discard;
mod read;
mod replay;

pub use discard::discard;
pub use read::{Listing, list, naming, show};
pub use replay::{Selection, replay};

use std::collections::BTreeSet;

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

/// The dead letter whose id begins with `id`, and the positions of its copies.
struct Found {
    letter: DeadLetter,
    copies: Vec<u64>,
}

impl Found {
    /// Reads all letters, because another one may begin with `id`, too.
    async fn by(held: &mut dyn DeadLetters, id: &str) -> Result<Self, DeadLetterError> {
        let (mut found, mut others): (Option<Self>, BTreeSet<String>) = (None, BTreeSet::new());
        while let Some(letter) = held.next().await? {
            match &mut found {
                _ if !letter.id.starts_with(id) => {}
                None => found = Some(Self { letter, copies: Vec::new() }),
                Some(found) if found.letter.id == letter.id => found.copies.push(letter.position),
                Some(_) => drop(others.insert(letter.id)),
            }
        }
        match found {
            None => Err(DeadLetterError::Unknown(id.to_owned())),
            Some(found) if others.is_empty() => Ok(found),
            Some(_) => Err(DeadLetterError::Ambiguous { id: id.to_owned(), number: others.len() + 1 }),
        }
    }

    async fn remove_copies(&self, held: &mut dyn DeadLetters) -> Result<(), BrokerError> {
        for copy in &self.copies {
            held.remove(*copy).await?;
        }
        Ok(())
    }
}

//! Reading dead letters, which leaves them in the queue.

use super::{DeadLetterError, find, while_held};
use crate::broker::{Broker, DeadLetter};
use crate::operations::Actor;

/// All dead letters, the oldest first.
pub async fn list(actor: &Actor, broker: &dyn Broker) -> Result<Vec<DeadLetter>, DeadLetterError> {
    actor.reads("dead letters: list", "all");
    while_held(broker, async |held| {
        let mut letters: Vec<_> = held.letters().into_iter().cloned().collect();
        letters.sort_by_key(|letter| letter.history.first_seen);
        Ok(letters)
    })
    .await
}

/// One dead letter, by the beginning of its id.
pub async fn show(actor: &Actor, broker: &dyn Broker, id: &str) -> Result<DeadLetter, DeadLetterError> {
    actor.reads("dead letters: show", id);
    while_held(broker, async |held| find(held, id)).await
}

//! Publishing dead letters to the workers again, after their cause was repaired. Recording a
//! purchase is idempotent.

use super::{DeadLetterError, find, while_held};
use crate::broker::Broker;
use crate::operations::Actor;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    /// By the beginning of its id.
    One(String),
}

/// Returns the number of messages that were published.
pub async fn replay(
    actor: &Actor,
    broker: &dyn Broker,
    selection: &Selection,
) -> Result<usize, DeadLetterError> {
    while_held(broker, async |held| {
        let ids: Vec<_> = match selection {
            Selection::One(id) => vec![find(held, id)?.id],
            Selection::All => held.letters().into_iter().map(|letter| letter.id.clone()).collect(),
        };
        let mut replayed = 0;
        for id in ids {
            replayed += held.replay(&id).await?;
            actor.has_changed("dead letter replayed", &id);
        }
        Ok(replayed)
    })
    .await
}

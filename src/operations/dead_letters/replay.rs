//! Publishing dead letters to the workers again, after their cause was repaired. Recording a
//! purchase is idempotent.

use super::{DeadLetterError, Found, while_held};
use crate::broker::Broker;
use crate::operations::Actor;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    /// By the beginning of its id.
    One(String),
}

/// Returns the number of messages that were published. Of one that is there several times, one copy
/// is published, and the others are removed.
pub async fn replay(
    actor: &Actor,
    broker: &dyn Broker,
    selection: &Selection,
) -> Result<usize, DeadLetterError> {
    while_held(broker, async |held| {
        if let Selection::One(id) = selection {
            let found = Found::by(held, id).await?;
            held.replay(&found.letter).await?;
            actor.has_changed("dead letter replayed", &found.letter.id);
            found.remove_copies(held).await?;
            return Ok(1);
        }
        let mut replayed = 0;
        // A letter whose cause is still there is dead-lettered again, behind those of now.
        for _ in 0..held.unread().await? {
            let Some(letter) = held.next().await? else { break };
            held.replay(&letter).await?;
            actor.has_changed("dead letter replayed", &letter.id);
            replayed += 1;
        }
        Ok(replayed)
    })
    .await
}

//! Erasing a person: the id of a user gives way to a pseudonym.

use super::PurchaseError;
use crate::broker::Broker;
use crate::domain::UserId;
use crate::ledger::{Erased, Ledger};
use crate::operations::{Actor, dead_letters};
use crate::runtime::Entropy;

/// What an erasure has done, and what it could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub erased: Erased,
    /// Dead letters that name the user: they stay until they are replayed or discarded.
    pub dead_letters: usize,
}

/// Replaces a user's id in the ledger, and has the leader replace it in admission. Units and
/// counts stay as they are. `broker`: whose dead letters may name the user. Repeating it finds
/// what was recorded since.
pub async fn erase(
    actor: &Actor,
    ledger: &dyn Ledger,
    broker: Option<&dyn Broker>,
    user: &UserId,
    entropy: &dyn Entropy,
) -> Result<Erasure, PurchaseError> {
    // Of random bits alone, so that nothing leads back to the user.
    let pseudonym = UserId::pseudonym([entropy.bits(), entropy.bits()]);
    let dead_letters = match broker {
        Some(broker) => dead_letters::naming(broker, user).await?,
        None => 0,
    };
    let erased = ledger.erase(user, &pseudonym).await?;
    // The log must not name the user either.
    actor.has_changed("user erased", pseudonym.as_str());
    Ok(Erasure { erased, dead_letters })
}

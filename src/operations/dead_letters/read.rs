//! Reading dead letters, which leaves them in the queue.

use super::{DeadLetterError, Found, while_held};
use crate::broker::{Broker, DeadLetter};
use crate::domain::UserId;
use crate::operations::Actor;

/// Letters that a listing shows.
const LISTED_MAX: usize = 10_000;
/// Bytes of their messages.
const LISTED_BYTES_MAX: usize = 64 << 20;

/// The oldest dead letters, as many as memory allows.
#[derive(Debug, Default)]
pub struct Listing {
    pub letters: Vec<DeadLetter>,
    /// Letters that are not among them.
    pub more: usize,
}

/// All dead letters, the oldest first.
pub async fn list(actor: &Actor, broker: &dyn Broker) -> Result<Listing, DeadLetterError> {
    actor.reads("dead letters: list", "all");
    while_held(broker, async |held| {
        let (mut listing, mut bytes) = (Listing::default(), 0);
        while let Some(letter) = held.next().await? {
            bytes += letter.body.len();
            if listing.letters.len() < LISTED_MAX && bytes <= LISTED_BYTES_MAX {
                listing.letters.push(letter);
            } else {
                listing.more += 1;
            }
        }
        listing.letters.sort_by_key(|letter| letter.history.first_seen);
        Ok(listing)
    })
    .await
}

/// How many dead letters name a user.
pub async fn naming(broker: &dyn Broker, user: &UserId) -> Result<usize, DeadLetterError> {
    while_held(broker, async |held| {
        let mut number = 0;
        while let Some(letter) = held.next().await? {
            number += usize::from(letter.entries.iter().any(|entry| entry.purchase.user == *user));
        }
        Ok(number)
    })
    .await
}

/// One dead letter, by the beginning of its id.
pub async fn show(actor: &Actor, broker: &dyn Broker, id: &str) -> Result<DeadLetter, DeadLetterError> {
    actor.reads("dead letters: show", id);
    while_held(broker, async |held| Ok(Found::by(held, id).await?.letter)).await
}

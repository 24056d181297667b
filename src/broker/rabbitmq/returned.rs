//! Notices that purchases of an epoch are returned by the exchange for longer than a fence
//! explains.
//!
//! A process stops selling under an epoch that is over as soon as it learns of that. What is
//! returned for longer is of the epoch that sells, and the leader has not bound it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lapin::types::ShortString;

/// The leader binds within a second, and a process learns that an epoch is over within a second.
const UNBOUND_AFTER: Duration = Duration::from_secs(5);
/// Without another purchase for so long, nothing is known any more.
const KNOWN_FOR: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Returned(Mutex<Option<Route>>);

/// One whose messages come back.
#[derive(Debug)]
struct Route {
    key: ShortString,
    first: Instant,
    latest: Instant,
}

impl Route {
    fn is_unbound(&self) -> bool {
        self.latest - self.first >= UNBOUND_AFTER
    }
}

impl Returned {
    /// A purchase came back. Whether its key counts as unbound.
    pub(super) fn note(&self, key: &ShortString, now: Instant) -> bool {
        let mut noted = self.lock();
        match &mut *noted {
            Some(known) if known.key == *key && now - known.latest < KNOWN_FOR => known.latest = now,
            // Another sale may be bound, or this process is between two epochs.
            Some(known) if known.key != *key && known.is_unbound() => {}
            other => *other = Some(Route { key: key.clone(), first: now, latest: now }),
        }
        noted.as_ref().is_some_and(Route::is_unbound)
    }

    /// A purchase was confirmed. Whether that ends an outage.
    pub(super) fn ended_by(&self, key: &ShortString) -> bool {
        let mut noted = self.lock();
        let product =
            |key: &ShortString| key.as_str().rsplit_once('.').map(|(product, _)| product.to_owned());
        if noted.as_ref().is_none_or(|known| product(&known.key) != product(key)) {
            return false;
        }
        noted.take().is_some_and(|known| known.is_unbound())
    }

    /// Whether an outage ends because nothing is known of it any more.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        let mut noted = self.lock();
        let is_old = |known: &mut Route| now - known.latest >= KNOWN_FOR;
        noted.take_if(is_old).is_some_and(|known| known.is_unbound())
    }

    /// Whether an epoch that sells is not bound, as far as is known.
    pub(super) fn is_unbound(&self) -> bool {
        self.lock().as_ref().is_some_and(Route::is_unbound)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an instant to begin with")]
    fn an_epoch_is_unbound_once_its_purchases_come_back_for_longer_than_a_fence_explains() {
        let (returned, start) = (Returned::default(), Instant::now());
        let [third, fourth, other] = ["p.3", "p.4", "q.1"].map(ShortString::from);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!returned.note(&third, at(0)) && !returned.note(&third, at(4)), "it may be fenced");
        assert!(!returned.note(&fourth, at(6)), "a rebuild took place");
        assert!(!returned.note(&fourth, at(10)) && returned.note(&fourth, at(11)));
        assert!(returned.note(&other, at(11)) && !returned.ended_by(&other), "of another sale");
        assert!(returned.is_unbound() && returned.ended_by(&"p.5".into()), "the sale is bound");
        assert!(!returned.is_unbound() && !returned.ended_by(&fourth));
        assert!(!returned.note(&third, at(20)) && returned.note(&third, at(30)));
        assert!(!returned.is_forgotten(at(80)) && returned.is_forgotten(at(90)) && !returned.is_unbound());
    }
}

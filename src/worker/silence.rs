//! A worker that is delivered nothing, and whether that is right.

use std::time::{Duration, Instant};

use crate::broker::Depths;
use crate::stores::Stores;

/// A worker that was delivered nothing for so long, while purchases are on their way, connects to
/// the queue anew; at most so rarely, where that changes nothing.
const SILENCE_MIN: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Since when nothing was delivered, and how long that may last.
pub(super) struct Silence {
    since: Instant,
    may_last: Duration,
}

impl Silence {
    pub(super) fn from(now: Instant) -> Self {
        Self { since: now, may_last: SILENCE_MIN }
    }

    pub(super) fn begins(&mut self, now: Instant) {
        self.since = now;
    }

    pub(super) fn ended(&mut self, now: Instant) {
        *self = Self::from(now);
    }

    pub(super) fn is_long(&self, now: Instant) -> bool {
        now - self.since > self.may_last
    }

    /// The worker connects anew, and waits longer before it does so again.
    pub(super) fn was_in_vain(&mut self) {
        self.may_last = SILENCE_MAX.min(self.may_last * 2);
    }
}

/// Whether the broker may hold purchases for this worker and not deliver them. A broker that
/// moves a consumer over to a queue that was declared anew may take the first messages for ones
/// that it has delivered. They count as delivered, so the queue looks empty; the end of this
/// worker's connection gives them back.
///
/// A queue that has messages is the consumer's to watch. Publishers that are blocked or away
/// explain the silence, and so does a store that can't be read.
pub(super) async fn is_held_back(stores: &Stores) -> bool {
    let Stores { admission, broker, ledger } = stores;
    let Ok(Some(Depths { purchases: 0, .. })) = broker.depths().await else { return false };
    let Ok(sales) = ledger.sales().await else { return false };
    for sale in sales {
        match admission.sale(&sale.product).await {
            Ok(state) if state.in_flight > 0 => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn a_worker_connects_anew_ever_more_rarely_until_something_is_delivered() {
        let start = Runtime::system().instant();
        let mut silence = Silence::from(start);
        let (mut now, mut waits) = (start, Vec::new());
        for _ in 0..6 {
            let began = now;
            silence.begins(began);
            while !silence.is_long(now) {
                now += Duration::from_secs(1);
            }
            waits.push((now - began).as_secs());
            silence.was_in_vain();
        }
        assert_eq!(waits, [6, 11, 21, 41, 61, 61]);
        silence.ended(now);
        assert!(!silence.is_long(now + SILENCE_MIN) && silence.is_long(now + SILENCE_MIN * 2));
    }
}

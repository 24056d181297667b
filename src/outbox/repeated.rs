//! Which purchases were confirmed when their buyers asked again.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use crate::domain::EntryKey;

/// What to do with a purchase whose buyer asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// It was confirmed on this connection.
    Confirmed,
    ToSend,
    /// So many others were sent that it is left to the sweeper.
    TooMany,
}

/// A bounded memory: its purchases are known for a while, and until it is full no other one is
/// forgotten, so that so many are sent in that time at most.
#[derive(Debug)]
pub(super) struct Repeated {
    /// Of the connection on which they were confirmed; see
    /// [`Broker::generation`](crate::broker::Broker::generation).
    generation: u64,
    keys: HashSet<EntryKey>,
    order: VecDeque<(EntryKey, Instant)>,
    max: usize,
    keep_for: Duration,
}

impl Repeated {
    pub(super) fn new(max: usize, keep_for: Duration) -> Self {
        Self { generation: 0, keys: HashSet::new(), order: VecDeque::new(), max, keep_for }
    }

    pub(super) fn repetition(&mut self, key: EntryKey, generation: u64, now: Instant) -> Repetition {
        if self.generation != generation {
            *self = Self { generation, ..Self::new(self.max, self.keep_for) };
        }
        if self.keys.contains(&key) {
            return Repetition::Confirmed;
        }
        if self.order.len() >= self.max {
            match self.order.pop_front_if(|(_, at)| now.duration_since(*at) >= self.keep_for) {
                Some((oldest, _)) => self.keys.remove(&oldest),
                None => return Repetition::TooMany,
            };
        }
        Repetition::ToSend
    }

    /// It was confirmed, on the connection of this generation.
    pub(super) fn add(&mut self, key: EntryKey, generation: u64, now: Instant) {
        if self.generation == generation && self.keys.insert(key) {
            self.order.push_back((key, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EntryId, PurchaseId};
    use crate::runtime::Runtime;

    const MINUTE: Duration = Duration::from_mins(1);

    fn key(number: u64) -> EntryKey {
        let id = EntryId { millis: number, sequence: 0 };
        (PurchaseId::new(id.admitted_at(), [number, 0]), id)
    }

    #[test]
    fn a_purchase_is_sent_once_on_each_connection() {
        let (mut repeated, now) = (Repeated::new(9, MINUTE), Runtime::system().instant());
        assert_eq!(repeated.repetition(key(1), 7, now), Repetition::ToSend);
        repeated.add(key(1), 7, now);
        assert_eq!(repeated.repetition(key(1), 7, now), Repetition::Confirmed);
        assert_eq!(repeated.repetition(key(2), 7, now), Repetition::ToSend);
        assert_eq!(repeated.repetition(key(1), 8, now), Repetition::ToSend, "what it had may be lost");
        repeated.add(key(1), 7, now);
        assert_eq!(repeated.repetition(key(1), 8, now), Repetition::ToSend, "confirmed on the one before");
    }

    #[test]
    fn so_many_are_sent_in_a_minute_and_no_more() {
        let (mut repeated, start) = (Repeated::new(2, MINUTE), Runtime::system().instant());
        for number in 1..=2 {
            assert_eq!(repeated.repetition(key(number), 0, start), Repetition::ToSend);
            repeated.add(key(number), 0, start);
        }
        assert_eq!(repeated.repetition(key(3), 0, start), Repetition::TooMany);
        assert_eq!(repeated.repetition(key(1), 0, start), Repetition::Confirmed);
        assert_eq!(repeated.repetition(key(3), 0, start + MINUTE), Repetition::ToSend);
        repeated.add(key(3), 0, start + MINUTE);
        assert_eq!(repeated.repetition(key(2), 0, start + MINUTE), Repetition::Confirmed);
    }
}

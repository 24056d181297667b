//! The age of outbox entries by what was observed. The id of an entry is the time at which it was
//! made, by a clock that may have been wrong; the order of the ids is right all the same.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::domain::EntryId;

/// Observations that are kept, of the time until an age is reached: an entry is found to be of the
/// age at most a quarter of the age late.
const KEPT: u32 = 4;

/// The newest entry of an outbox as it was observed at several instants, to tell which entries
/// have reached one age.
#[derive(Debug)]
pub(super) struct Observed {
    age: Duration,
    newest: VecDeque<(Instant, EntryId)>,
    /// Every entry up to this one has reached the age.
    due: EntryId,
}

impl Observed {
    pub(super) fn new(age: Duration) -> Self {
        Self { age, newest: VecDeque::new(), due: EntryId::FIRST }
    }

    /// Notes the newest entry at `now`, of the observer's monotonic clock, and returns the last
    /// entry that has been there for the age.
    pub(super) fn due(&mut self, newest: EntryId, now: Instant) -> EntryId {
        let interval = self.age / KEPT;
        if self.newest.back().is_none_or(|(at, _)| now.duration_since(*at) >= interval) {
            self.newest.push_back((now, newest));
        }
        while let Some((at, id)) = self.newest.front()
            && now.duration_since(*at) >= self.age
        {
            self.due = *id;
            self.newest.pop_front();
        }
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(4);

    fn id(millis: u64) -> EntryId {
        EntryId { millis, sequence: 0 }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an instant to begin with")]
    fn an_entry_is_due_when_it_was_seen_for_the_age_whatever_its_time() {
        let (mut observed, start) = (Observed::new(AGE), Instant::now());
        let at = |tenths: u32| start + AGE / 40 * tenths;
        assert_eq!(observed.due(id(900_000), at(0)), EntryId::FIRST, "just found");
        assert_eq!(observed.due(id(900_000), at(39)), EntryId::FIRST);
        assert_eq!(observed.due(id(900_005), at(40)), id(900_000));
        assert_eq!(
            observed.due(id(900_005), at(50)),
            id(900_000),
            "noted a quarter of the age after the last"
        );
        assert_eq!(observed.due(id(900_005), at(89)), id(900_000));
        assert_eq!(observed.due(id(900_005), at(90)), id(900_005));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an instant to begin with")]
    fn few_observations_are_kept() {
        let (mut observed, start) = (Observed::new(AGE), Instant::now());
        for tick in 0..10_000_u32 {
            let now = start + AGE / 100 * tick;
            let due = observed.due(id(tick.into()), now);
            assert!(observed.newest.len() <= KEPT as usize + 1);
            // Never early, and at most a quarter of the age late.
            assert!(due.millis <= u64::from(tick.saturating_sub(100)));
            assert!(due.millis + 126 >= u64::from(tick) || tick < 126);
        }
    }
}

//! Counts attempts and how long they take, and how long purchases take to the ledger.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::domain::{Outcome, ProductId};

/// The result of an attempt: an outcome, or an answer of 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Attempt {
    Success,
    Purchased,
    SoldOut,
    Upcoming,
    Ended,
    Paused,
    /// Answered 503: nothing was decided.
    NotReady,
    /// Answered 503: the attempt may have taken effect.
    Unknown,
    /// An outcome of another version of this program.
    #[serde(other)]
    Other,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Purchased => Self::Purchased,
            Outcome::SoldOut => Self::SoldOut,
            Outcome::Upcoming => Self::Upcoming,
            Outcome::Ended => Self::Ended,
            Outcome::Paused => Self::Paused,
        }
    }
}

/// A histogram of durations: from a microsecond to a minute, with two significant digits. It is
/// allocated at the first use.
#[derive(Clone, Debug, Default)]
pub struct Durations(Option<Box<Histogram<u32>>>);

impl Durations {
    #[expect(clippy::expect_used, reason = "the bounds are right, and constant")]
    fn histogram(&mut self) -> &mut Histogram<u32> {
        self.0.get_or_insert_with(|| Box::new(Histogram::new_with_bounds(1, 60_000_000, 2).expect("bounds")))
    }

    /// A duration of more than a minute counts as a minute.
    pub fn record(&mut self, duration: Duration) {
        self.histogram().saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn add(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            // The bounds are the same.
            let _ = self.histogram().add(&**other);
        }
    }

    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// `None`: nothing is recorded.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.value_at_percentile(percent)))
    }

    /// Pairs of microseconds and a count, for another process.
    pub fn to_pairs(&self) -> Vec<(u64, u32)> {
        let steps = self.0.iter().flat_map(|histogram| histogram.iter_recorded());
        steps.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// From the pairs of [`Durations::to_pairs`].
    pub fn from_pairs(pairs: &[(u64, u32)]) -> Self {
        let mut durations = Self::default();
        for (micros, count) in pairs {
            durations.histogram().saturating_record_n(*micros, *count);
        }
        durations
    }
}

/// The counts of a product.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub attempts: HashMap<Attempt, u64>,
    /// From the admission permit to the decision.
    pub admission: Durations,
    /// From the request to its answer, with the wait for a permit and for the
    /// confirm, without the network.
    pub answer: Durations,
    /// From an admission to the commit of its row: as exact as the clocks of Redis
    /// and the worker agree.
    pub recording: Durations,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        for (attempt, number) in &other.attempts {
            *self.attempts.entry(*attempt).or_default() += number;
        }
        self.admission.add(&other.admission);
        self.answer.add(&other.answer);
        self.recording.add(&other.recording);
    }
}

pub type Counts = HashMap<ProductId, Tally>;

/// Clones share all counts. Each thread of a server has a part of its own, so that threads do not
/// wait for each other.
#[derive(Clone, Debug)]
pub struct Meter {
    parts: Arc<Mutex<Vec<Part>>>,
    mine: Part,
}

type Part = Arc<Mutex<Counts>>;

impl Default for Meter {
    fn default() -> Self {
        let mine = Part::default();
        Self { parts: Arc::new(Mutex::new(vec![mine.clone()])), mine }
    }
}

impl Meter {
    /// With a part for the calling thread.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        let mine = Part::default();
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(mine.clone());
        Self { parts: self.parts.clone(), mine }
    }

    /// Counts an attempt: `after` is from the request to the answer, `decided` from the permit to
    /// the decision of admission, if it decided.
    pub fn answered(
        &self,
        product: &ProductId,
        attempt: Attempt,
        after: Duration,
        decided: Option<Duration>,
    ) {
        self.tally(product, |tally| {
            *tally.attempts.entry(attempt).or_default() += 1;
            tally.answer.record(after);
            if let Some(decided) = decided {
                tally.admission.record(decided);
            }
        });
    }

    /// Counts a recorded purchase. A negative duration, of clocks that disagree, counts as 0.
    pub fn recorded(&self, product: &ProductId, after: TimeDelta) {
        self.tally(product, |tally| tally.recording.record(after.to_std().unwrap_or_default()));
    }

    fn tally(&self, product: &ProductId, add: impl FnOnce(&mut Tally)) {
        let mut counts = self.mine.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(product) {
            Some(tally) => add(tally),
            None => add(counts.entry(product.clone()).or_default()),
        }
    }

    /// Takes the counts since the last call.
    pub fn take(&self) -> Counts {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = Counts::default();
        for part in parts {
            let counts = mem::take(&mut *part.lock().unwrap_or_else(PoisonError::into_inner));
            for (product, tally) in counts {
                all.entry(product).or_default().add(&tally);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_threads_count_is_taken_once() {
        let (meter, product) = (Meter::default(), ProductId::parse("p").unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (meter, product) = (meter.on_this_thread(), &product);
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        meter.answered(product, Attempt::SoldOut, Duration::from_millis(3), None);
                    }
                });
            }
        });
        meter.recorded(&product, TimeDelta::seconds(-1));
        let taken = meter.take();
        let tally = &taken[&product];
        assert_eq!(tally.attempts, HashMap::from([(Attempt::SoldOut, 4_000)]));
        assert_eq!((tally.answer.number(), tally.admission.number()), (4_000, 0));
        assert!(tally.recording.percentile(50.0).unwrap() < Duration::from_micros(2));
        assert!(meter.take().is_empty());
    }

    #[test]
    fn durations_are_the_same_after_their_way_to_another_process() {
        let mut durations = Durations::default();
        for millis in 1..=1_000 {
            durations.record(Duration::from_millis(millis));
        }
        durations.record(Duration::from_hours(1));
        let there = Durations::from_pairs(&durations.to_pairs());
        assert_eq!(there.number(), 1_001);
        for percent in [0.0, 50.0, 99.0, 100.0] {
            assert_eq!(there.percentile(percent), durations.percentile(percent), "{percent}");
        }
        let median = there.percentile(50.0).unwrap().as_secs_f64();
        assert!((0.495..0.51).contains(&median), "{median}");
        assert_eq!(Durations::default().percentile(50.0), None);
    }
}

//! Who is due next. Everybody who sends takes the next arrival from here, so that a slow server can't slow the load down:
//! while one waits for an answer, others are there to take the next ones, and whoever comes late for one still counts its
//! latency from when it was due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::shape::Shape;

/// The arrivals of one shape; clones take from the same ones.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    stop: CancellationToken,
    began: Instant,
    shape: Arc<Shape>,
    next: Arc<AtomicU64>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Its number, from 0.
    pub(super) number: u64,
    /// When it is due, after the beginning.
    pub(super) due: Duration,
}

impl Arrivals {
    /// Those of a shape that begins at `began`, until its end or `stop`.
    pub(super) fn new(began: Instant, shape: Shape, stop: CancellationToken) -> Self {
        Self { stop, began, shape: Arc::new(shape), next: Arc::default() }
    }

    /// Takes the next one, and waits until it is due. `None`: there are no more.
    pub(super) async fn next(&self) -> Option<Arrival> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.shape.due(number)?;
        tokio::select! {
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep_until((self.began + due).into()) => Some(Arrival { number, due }),
        }
    }
}

/// Whose attempt an arrival is: one of `repeat_every` (0: none) is by somebody who has come before, and who may have an
/// answer by now.
pub(super) fn person(number: u64, repeat_every: u64) -> u64 {
    let is_repeat = |number: u64| number % repeat_every == repeat_every - 1;
    if repeat_every < 2 || !is_repeat(number) {
        return number;
    }
    // Of two neighbours at most one is a repeat itself.
    let earlier = number / 2;
    if is_repeat(earlier) { earlier - 1 } else { earlier }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_was_asked_for_are_by_people_who_have_come_before() {
        for repeat_every in [2, 3, 10] {
            let mut come = std::collections::HashSet::new();
            let again = (0..3_000).filter(|number| !come.insert(person(*number, repeat_every))).count();
            assert_eq!(again as u64, 3_000 / repeat_every, "one of {repeat_every}");
        }
        assert_eq!((person(5, 0), person(5, 1)), (5, 5));
    }

    #[tokio::test]
    async fn each_is_taken_once_and_not_before_it_is_due() {
        let began = Instant::now();
        let arrivals = Arrivals::new(began, Shape::new(1_000.0, &[(1_000.0, 0.1)]), CancellationToken::new());
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let arrivals = arrivals.clone();
            takers.spawn(async move {
                let mut taken = Vec::new();
                while let Some(arrival) = arrivals.next().await {
                    assert!(began.elapsed() >= arrival.due);
                    taken.push(arrival.number);
                }
                taken
            });
        }
        let mut all: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }
}

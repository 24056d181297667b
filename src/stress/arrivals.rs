//! The arrival schedule of an open load model. All virtual users take the next arrival from one
//! shared counter, so a slow server cannot slow the load down: while one virtual user waits for a
//! response, others take the next arrivals. A late virtual user still measures latency from the
//! time at which its arrival was due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::shape::Shape;

/// Clones take from the same counter.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    stop: CancellationToken,
    began: Instant,
    shape: Arc<Shape>,
    next: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// From 0.
    pub(super) number: u64,
    /// After the beginning of the run.
    pub(super) due: Duration,
}

impl Arrivals {
    pub(super) fn new(began: Instant, shape: Shape, stop: CancellationToken) -> Self {
        Self { stop, began, shape: Arc::new(shape), next: Arc::default() }
    }

    /// Takes the next arrival and waits until it is due. `None`: the schedule has ended, or
    /// `stop` was cancelled.
    pub(super) async fn next(&self) -> Option<Arrival> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.shape.due(number)?;
        tokio::select! {
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep_until((self.began + due).into()) => Some(Arrival { number, due }),
        }
    }
}

/// The number of the buyer who makes an attempt. One of `repeat_every` attempts (0: none) is made
/// by a buyer of an earlier attempt, which may have been answered by then.
pub(super) fn buyer_number(attempt: u64, repeat_every: u64) -> u64 {
    let is_repeat = |attempt: u64| attempt % repeat_every == repeat_every - 1;
    if repeat_every < 2 || !is_repeat(attempt) {
        return attempt;
    }
    // Of two neighbours at most one is a repeat itself.
    let earlier = attempt / 2;
    if is_repeat(earlier) { earlier - 1 } else { earlier }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn the_share_of_repeated_buyers_is_exact() {
        for repeat_every in [2, 3, 10] {
            let mut seen = std::collections::HashSet::new();
            let repeats =
                (0..3_000).filter(|number| !seen.insert(buyer_number(*number, repeat_every))).count();
            assert_eq!(repeats as u64, 3_000 / repeat_every, "one of {repeat_every}");
        }
        assert_eq!((buyer_number(5, 0), buyer_number(5, 1)), (5, 5));
    }

    #[tokio::test]
    async fn each_arrival_is_taken_once_and_not_before_it_is_due() {
        let runtime = Runtime::system();
        let began = runtime.instant();
        let arrivals = Arrivals::new(began, Shape::new(1_000.0, &[(1_000.0, 0.1)]), CancellationToken::new());
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (arrivals, runtime) = (arrivals.clone(), runtime.clone());
            takers.spawn(async move {
                let mut taken = Vec::new();
                while let Some(arrival) = arrivals.next().await {
                    assert!(runtime.instant() >= began + arrival.due);
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

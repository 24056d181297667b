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

use super::shape::Shape;

/// The arrivals of one shape; clones take from the same ones.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
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
    /// Those of a shape that begins at `began`.
    pub(super) fn new(began: Instant, shape: Shape) -> Self {
        Self { began, shape: Arc::new(shape), next: Arc::default() }
    }

    /// Takes the next one, and waits until it is due. `None`: there are no more.
    pub(super) async fn next(&self) -> Option<Arrival> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.shape.due(number)?;
        tokio::time::sleep_until((self.began + due).into()).await;
        Some(Arrival { number, due })
    }
}

/// Whose attempt an arrival is: one of `repeat_every` is by somebody who has tried before.
pub(super) fn person(number: u64, repeat_every: u64) -> u64 {
    if repeat_every > 0 && number % repeat_every == repeat_every - 1 {
        // Somebody from the middle of those who have come so far, and who therefore has an answer.
        number / 2
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_by_people_who_have_tried_before() {
        let people: Vec<_> = (0..9).map(|number| person(number, 3)).collect();
        assert_eq!(people, [0, 1, 1, 3, 4, 2, 6, 7, 4]);
        assert_eq!(person(5, 0), 5);
    }

    #[tokio::test]
    async fn each_is_taken_once_and_not_before_it_is_due() {
        let began = Instant::now();
        let arrivals = Arrivals::new(began, Shape::new(1_000.0, &[(1_000.0, 0.1)]));
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

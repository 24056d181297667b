//! The last minutes, a point for each poll: what charts are drawn from.

use std::collections::VecDeque;

use serde::Serialize;

use super::snapshot::{Percentiles, Rates, Snapshot, Totals};

/// Five minutes, as long as every poll takes its second.
const POINTS_MAX: usize = 300;

/// All products together at one time. `None`: not known at that time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    /// In milliseconds since 1970.
    at: i64,
    attempts_per_s: Rates,
    admission: Percentiles,
    answer: Percentiles,
    recording: Percentiles,
    /// Purchases in all outboxes.
    in_flight: Option<u64>,
    /// Messages that wait for a worker.
    queued: Option<u32>,
}

impl From<&Snapshot> for Point {
    fn from(snapshot: &Snapshot) -> Self {
        let Totals { attempts_per_s, admission, answer, recording, .. } = &snapshot.total;
        Self {
            at: snapshot.at,
            attempts_per_s: attempts_per_s.clone(),
            admission: *admission,
            answer: *answer,
            recording: *recording,
            in_flight: snapshot.products.iter().map(|product| product.in_flight).sum(),
            queued: snapshot.queue.map(|queue| queue.purchases),
        }
    }
}

/// Points, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct History(VecDeque<Point>);

impl History {
    pub(super) fn add(&mut self, point: Point) {
        if self.0.len() == POINTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The points after a time (milliseconds since 1970).
    pub(super) fn after(&self, millis: i64) -> Self {
        Self(self.0.iter().filter(|point| point.at > millis).cloned().collect())
    }
}

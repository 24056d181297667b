//! The last minutes, a point for each look: what charts are drawn from.

use std::collections::VecDeque;

use serde::Serialize;

use super::snapshot::{Percentiles, Rates};

/// Points that are kept: five minutes, where every look takes its second.
const KEPT_MAX: usize = 300;

/// A point in time of all products together. `None`: not known at that time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Attempts a second.
    pub attempts_per_s: Rates,
    /// Decisions of admission.
    pub admission: Percentiles,
    /// Answers.
    pub answer: Percentiles,
    /// From an admission to the row.
    pub recording: Percentiles,
    /// Purchases in all outboxes.
    pub in_flight: Option<u64>,
    /// Messages that wait for a worker.
    pub queued: Option<u32>,
}

/// Points, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct History(VecDeque<Point>);

impl History {
    pub(super) fn add(&mut self, point: Point) {
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The points after a time (milliseconds since 1970).
    #[must_use]
    pub fn after(&self, millis: i64) -> Self {
        Self(self.0.iter().filter(|point| point.at > millis).cloned().collect())
    }
}

//! `GET /console/snapshot`: the whole system, for people and scripts.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::broker::Depths;
use crate::domain::{Conservation, Phase};
use crate::observability::readiness::Subject;
use crate::observability::registry::{CheckReport, Role};
use crate::observability::{Attempt, Durations, EventKind};

/// The system at a time.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Whether everything is in this process.
    pub embedded: bool,
    /// Why the other processes can't be seen; `null`: they can.
    pub trouble: Option<String>,
    /// The units of all products; `null`: not known of one of them.
    pub conservation: Option<Conservation>,
    /// Whether they add up; `null`: not known at the moment.
    pub adds_up: Option<bool>,
    /// Purchases that admission knows as dead-lettered and the dead-letter queue has not had for a while.
    pub letters_missing: u64,
    /// All products together.
    pub total: Totals,
    /// Each product.
    pub products: Vec<ProductView>,
    /// Messages that wait; `null`: not known, or embedded, where there is no queue.
    pub queue: Option<Depths>,
    /// What the processes depend on.
    pub dependencies: Vec<DependencyView>,
    /// Every process that reports, or did until lately.
    pub processes: Vec<ProcessView>,
    /// The last 20 notable events, latest first.
    pub events: Vec<EventView>,
}

/// Attempts a second, by what became of them.
pub type Rates = BTreeMap<Attempt, f64>;

/// What was measured of products: one, or all.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Attempts a second, over the last second.
    pub attempts_per_s: Rates,
    /// Attempts since the processes that answer them were started.
    pub attempts: BTreeMap<Attempt, u64>,
    /// From an attempt's turn to the decision of admission, over the last 10 s.
    pub admission: Percentiles,
    /// From an attempt to its answer, without the network.
    pub answer: Percentiles,
    /// From an admission to the commit of its row.
    pub recording: Percentiles,
}

/// How long something takes, in milliseconds. `null`: it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// How many.
    pub number: u64,
    /// Of half of them, at most.
    pub p50_ms: Option<f64>,
    /// Of 95 of 100.
    pub p95_ms: Option<f64>,
    /// Of 99 of 100.
    pub p99_ms: Option<f64>,
}

impl From<&Durations> for Percentiles {
    fn from(durations: &Durations) -> Self {
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e5).round() / 100.0;
        let of = |percent| durations.percentile(percent).map(millis);
        Self { number: durations.number(), p50_ms: of(50.0), p95_ms: of(95.0), p99_ms: of(99.0) }
    }
}

/// A product.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its sale stands; `null`: admission has no state of it, or is away.
    pub phase: Option<Phase>,
    /// Why something is not known.
    pub trouble: Option<String>,
    /// When it opens, in milliseconds since 1970.
    pub opens_at: Option<i64>,
    /// When it closes.
    pub closes_at: Option<i64>,
    /// Units that nobody has.
    pub remaining: Option<u32>,
    /// Purchases in the outbox.
    pub in_flight: Option<u64>,
    /// Age of the oldest of them, in milliseconds; 0: there is none.
    pub outbox_age_ms: Option<u64>,
    /// Its units, when they were counted last; `null`: not known.
    pub conservation: Option<Conservation>,
    /// When that was, in milliseconds since 1970.
    pub counted_at: Option<i64>,
    /// Whether they add up; `null`: not known, or about to be looked at once more.
    pub adds_up: Option<bool>,
    /// What was measured.
    #[serde(flatten)]
    pub totals: Totals,
}

/// A service, or a sale's state in it, as all processes see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencyView {
    /// What it is about.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// How many processes use it.
    pub used_by: usize,
    /// The processes for which it is not ready, with the reason.
    pub outages: Vec<Outage>,
}

/// A dependency that is not ready for a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The process.
    pub process: String,
    /// Why.
    pub reason: String,
}

/// A process.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessView {
    /// What people call it: role, host and number.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Of the program.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since it reported last.
    pub silent_ms: u64,
    /// Whether it reports.
    pub is_up: bool,
    /// Whether it can do its work, as it said last.
    pub is_ready: bool,
    /// Attempts a second that it answers.
    pub attempts_per_s: f64,
    /// What it depends on.
    pub checks: Vec<CheckReport>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// When, in milliseconds since 1970: the first that noticed it.
    pub at: i64,
    /// What.
    pub kind: EventKind,
    /// To whom.
    pub about: String,
    /// The details.
    pub text: String,
    /// How often in a row.
    pub times: u32,
    /// The processes that noticed.
    pub processes: Vec<String>,
}

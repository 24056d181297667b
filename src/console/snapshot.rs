//! The whole system at one time. docs/CONSOLE.md documents it as JSON.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::broker::Depths;
use crate::domain::{Conservation, Phase};
use crate::observability::readiness::{Check, Subject};
use crate::observability::registry::Role;
use crate::observability::{Attempt, Durations, EventKind};

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    /// When the stores were read, in milliseconds since 1970; 0: not yet.
    pub(super) at: i64,
    /// Whether this process is the whole system.
    pub(super) embedded: bool,
    /// Why the other processes are not known; `None`: they are.
    pub(super) trouble: Option<String>,
    /// Of all products together; `None`: not known of one of them.
    pub(super) conservation: Option<Conservation>,
    /// `None`: not known at the moment.
    pub(super) adds_up: Option<bool>,
    /// Purchases that admission has marked as dead-lettered, and that the dead-letter queue has not
    /// had for a while.
    pub(super) dead_letters_missing: u64,
    pub(super) pace: Pace,
    /// Of all products together.
    pub(super) total: Totals,
    pub(super) products: Vec<ProductView>,
    /// `None`: not known, or embedded, where there is no queue.
    pub(super) queue: Option<Depths>,
    pub(super) dependencies: Vec<DependencyView>,
    /// Every process that is up, or was lost lately.
    pub(super) processes: Vec<ProcessView>,
    /// The last 20 events, latest first.
    pub(super) events: Vec<EventView>,
}

/// Of all products together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pace {
    /// Units that have a buyer; `None`: not known of one of the products.
    pub(super) sold: Option<u64>,
    /// Units sold in the last second.
    pub(super) sold_per_s: f64,
    /// Until what is on sale now is sold out, at the mean rate of the last 10 s. `None`: nothing is
    /// on sale, or nothing is sold.
    pub(super) sold_out_in_ms: Option<u64>,
}

/// Attempts a second, by outcome.
pub(super) type Rates = BTreeMap<Attempt, f64>;

/// The counts and durations of one product, or of all.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    /// Attempts a second, over the last second.
    pub(super) attempts_per_s: Rates,
    /// Attempts since the processes that answer them were started.
    pub(super) attempts: BTreeMap<Attempt, u64>,
    /// From the admission permit to the decision, over the last 10 s.
    pub(super) admission: Percentiles,
    /// From a request to its answer, without the network.
    pub(super) answer: Percentiles,
    /// From an admission to the commit of its row.
    pub(super) recording: Percentiles,
}

/// Of durations, in milliseconds. `None`: there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Percentiles {
    pub(super) number: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

impl From<&Durations> for Percentiles {
    fn from(durations: &Durations) -> Self {
        // To the microsecond.
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let of = |percent| durations.percentile(percent).map(millis);
        Self { number: durations.number(), p50_ms: of(50.0), p95_ms: of(95.0), p99_ms: of(99.0) }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductView {
    pub(super) id: String,
    pub(super) name: String,
    /// `None`: the sale has no admission state, or it can't be read.
    pub(super) phase: Option<Phase>,
    /// Why something is not known.
    pub(super) trouble: Option<String>,
    /// In milliseconds since 1970.
    pub(super) opens_at: Option<i64>,
    pub(super) closes_at: Option<i64>,
    pub(super) total_stock: Option<u32>,
    pub(super) remaining: Option<u32>,
    /// Purchases in the outbox.
    pub(super) in_flight: Option<u64>,
    /// Age of the oldest purchase in the outbox; 0: it is empty.
    pub(super) outbox_age_ms: Option<u64>,
    /// At the last count; `None`: not known.
    pub(super) conservation: Option<Conservation>,
    /// Of the last count, in milliseconds since 1970.
    pub(super) counted_at: Option<i64>,
    /// `None`: not known, or a difference that was found once and is to be counted again.
    pub(super) adds_up: Option<bool>,
    #[serde(flatten)]
    pub(super) totals: Totals,
}

/// A dependency as all processes see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DependencyView {
    pub(super) subject: Subject,
    pub(super) name: String,
    /// The number of processes that use it.
    pub(super) used_by: usize,
    /// The processes for which it is not ready, with the reason.
    pub(super) outages: Vec<Outage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Outage {
    pub(super) process: String,
    pub(super) reason: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessView {
    /// Role, host and process id.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) version: String,
    /// In milliseconds since 1970.
    pub(super) started_at: i64,
    /// Since the last heartbeat.
    pub(super) silent_ms: u64,
    pub(super) is_up: bool,
    /// By the last heartbeat.
    pub(super) is_ready: bool,
    pub(super) attempts_per_s: f64,
    pub(super) checks: Vec<Check>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct EventView {
    /// When the first process noted it, in milliseconds since 1970.
    pub(super) at: i64,
    pub(super) kind: EventKind,
    pub(super) about: String,
    pub(super) text: String,
    /// How often the event occurred in a row.
    pub(super) times: u32,
    pub(super) processes: Vec<String>,
}

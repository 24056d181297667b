//! `GET /control/snapshot`: the whole system, for people and scripts.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{CheckReport, Conservation, Report, Role};
use crate::broker::Depths;
use crate::domain::Phase;
use crate::readiness::Subject;
use crate::telemetry::{Attempt, Durations, EventKind};

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
    /// When it opens and closes, in milliseconds since 1970.
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

/// The events of all processes, latest first. What several notice within a moment is one.
pub(super) fn events<'report>(reports: impl Iterator<Item = &'report Report>) -> Vec<EventView> {
    /// Processes notice the same thing within this time, in milliseconds.
    const MOMENT: i64 = 5_000;
    const SHOWN_MAX: usize = 20;
    let each = reports.flat_map(|report| report.events.iter().map(|event| (event, report.name())));
    let mut all: Vec<_> = each.collect();
    all.sort_by_key(|(event, _)| event.at);
    let mut merged: Vec<EventView> = Vec::new();
    for (event, process) in all {
        let is_same = |shown: &&mut EventView| {
            (shown.kind, &shown.about) == (event.kind, &event.about)
                && event.at - shown.at <= MOMENT
                && !shown.processes.contains(&process)
        };
        if let Some(shown) = merged.iter_mut().rev().find(is_same) {
            shown.processes.push(process);
            // Each worker has letters of its own; anything else is the same thing, seen by several.
            shown.times = if event.kind == EventKind::DeadLetter {
                shown.times.saturating_add(event.times)
            } else {
                shown.times.max(event.times)
            };
        } else {
            let (kind, about, text) = (event.kind, event.about.clone(), event.text.clone());
            merged.push(EventView {
                at: event.at,
                kind,
                about,
                text,
                times: event.times,
                processes: vec![process],
            });
        }
    }
    merged.reverse();
    merged.truncate(SHOWN_MAX);
    merged
}

/// What the processes that are up depend on, by name.
pub(super) fn dependencies<'report>(reports: impl Iterator<Item = &'report Report>) -> Vec<DependencyView> {
    let mut found: BTreeMap<&str, DependencyView> = BTreeMap::new();
    for report in reports {
        for check in &report.checks {
            let view = found.entry(&check.name).or_insert_with(|| DependencyView {
                subject: check.subject,
                name: check.name.clone(),
                used_by: 0,
                outages: Vec::new(),
            });
            view.used_by += 1;
            let outage = check.outage.clone().map(|reason| Outage { process: report.name(), reason });
            view.outages.extend(outage);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Event;

    fn report(pid: u32, events: &[(i64, EventKind)]) -> Report {
        let event = |(at, kind): &(i64, EventKind)| Event {
            at: *at,
            kind: *kind,
            about: "redis".to_owned(),
            text: String::new(),
            times: 1,
        };
        Report {
            id: pid.to_string(),
            role: Role::Serve,
            host: "h".to_owned(),
            pid,
            version: String::new(),
            started_at: 0,
            left: false,
            checks: Vec::new(),
            products: BTreeMap::new(),
            events: events.iter().map(event).collect(),
        }
    }

    #[test]
    fn what_several_processes_notice_is_one_event() {
        use EventKind::{OutageBegan, OutageEnded};
        let reports = [
            report(1, &[(1_000, OutageBegan), (3_000, OutageEnded), (4_000, OutageBegan)]),
            report(2, &[(1_200, OutageBegan), (3_100, OutageEnded), (60_000, OutageBegan)]),
        ];
        let events = events(reports.iter());
        let seen: Vec<_> = events.iter().map(|event| (event.at, event.kind, event.processes.len())).collect();
        let wanted = [
            (60_000, OutageBegan, 1),
            (4_000, OutageBegan, 1),
            (3_000, OutageEnded, 2),
            (1_000, OutageBegan, 2),
        ];
        assert_eq!(seen, wanted);
    }
}

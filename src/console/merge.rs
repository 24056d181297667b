//! What all processes say, as one: events that several notice, and services that several need.

use std::collections::BTreeMap;

use super::snapshot::{DependencyView, EventView, Outage};
use crate::observability::EventKind;
use crate::observability::registry::Report;

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
    use crate::{
        observability::registry::Role,
        observability::{Event, EventKind},
    };

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

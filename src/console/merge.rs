//! Merges the heartbeats of all processes: events that several processes note, and services that
//! several use.

use std::collections::BTreeMap;

use super::snapshot::{DependencyView, EventView, Outage};
use crate::observability::{EventKind, registry::Heartbeat};

/// The events of all processes, latest first. Equal events of several processes are merged.
pub(super) fn events<'all>(heartbeats: impl Iterator<Item = &'all Heartbeat>) -> Vec<EventView> {
    /// Equal events of two processes within this time are one, in milliseconds.
    const MERGED_WITHIN: i64 = 5_000;
    const SHOWN_MAX: usize = 20;
    let mut all: Vec<_> = heartbeats
        .flat_map(|heartbeat| heartbeat.events.iter().map(|event| (event, heartbeat.name())))
        .collect();
    all.sort_by_key(|(event, _)| event.at);
    let mut merged: Vec<EventView> = Vec::new();
    for (event, process) in all {
        let is_same = |shown: &&mut EventView| {
            (shown.kind, &shown.about) == (event.kind, &event.about)
                && event.at - shown.at <= MERGED_WITHIN
                && !shown.processes.contains(&process)
        };
        if let Some(shown) = merged.iter_mut().rev().find(is_same) {
            shown.processes.push(process);
            // Each worker dead-letters other purchases; any other event is one that several
            // processes see.
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

/// The dependencies of all processes, by name.
pub(super) fn dependencies<'all>(heartbeats: impl Iterator<Item = &'all Heartbeat>) -> Vec<DependencyView> {
    let mut found: BTreeMap<&str, DependencyView> = BTreeMap::new();
    for heartbeat in heartbeats {
        for check in &heartbeat.checks {
            let view = found.entry(&check.name).or_insert_with(|| DependencyView {
                subject: check.subject,
                name: check.name.clone(),
                used_by: 0,
                outages: Vec::new(),
            });
            view.used_by += 1;
            let outage = check.outage.clone().map(|reason| Outage { process: heartbeat.name(), reason });
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

    fn heartbeat(pid: u32, events: &[(i64, EventKind)]) -> Heartbeat {
        let event = |(at, kind): &(i64, EventKind)| Event {
            at: *at,
            kind: *kind,
            about: "redis".to_owned(),
            text: String::new(),
            times: 1,
        };
        Heartbeat {
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
    fn an_event_that_several_processes_note_is_one() {
        use EventKind::{OutageBegan, OutageEnded};
        let heartbeats = [
            heartbeat(1, &[(1_000, OutageBegan), (3_000, OutageEnded), (4_000, OutageBegan)]),
            heartbeat(2, &[(1_200, OutageBegan), (3_100, OutageEnded), (60_000, OutageBegan)]),
        ];
        let events = events(heartbeats.iter());
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

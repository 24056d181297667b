//! Which processes are up, by their heartbeats, and the events of those that come and go.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    heartbeat::Heartbeat,
    store::{ProcessRegistry, RegistryError},
};
use crate::observability::{EventKind, Events};
use crate::runtime::Clock;

/// A process with an older heartbeat is not up.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// A process with an older heartbeat is not listed.
const LISTED_MAX: Duration = Duration::from_mins(10);

/// A process, at the time of a read.
#[derive(Clone, Debug)]
pub(crate) struct KnownProcess {
    pub(crate) heartbeat: Heartbeat,
    /// Age of the heartbeat.
    pub(crate) silent: Duration,
}

impl KnownProcess {
    pub(crate) fn is_up(&self) -> bool {
        !self.heartbeat.left && self.silent <= SILENT_MAX
    }

    /// Up, or lost lately.
    pub(crate) fn is_listed(&self) -> bool {
        !self.heartbeat.left && self.silent <= LISTED_MAX
    }
}

/// What is kept of the processes from read to read.
#[derive(Debug)]
pub(crate) struct Liveness {
    clock: Arc<dyn Clock>,
    /// The heartbeats of the last read, and when they were sent. They are kept during an
    /// outage of the registry.
    heartbeats: Vec<(Instant, Heartbeat)>,
    /// The end of the last outage of the registry.
    readable_since: Option<Instant>,
    /// The processes that are up, by id: the name, and when each was last known to be up. `None`
    /// before the first read.
    up: Option<HashMap<String, (String, Instant)>>,
}

impl Liveness {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: clock.clone(), heartbeats: Vec::new(), readable_since: None, up: None }
    }

    /// Takes the result of a read. Returns why other processes are not known, if so.
    pub(crate) fn update(
        &mut self,
        read: Result<Vec<(Duration, Heartbeat)>, RegistryError>,
        registry: &ProcessRegistry,
        events: &Events,
    ) -> Option<String> {
        match read {
            Ok(heartbeats) => {
                let now = self.clock.instant();
                let sent_at = |age| now.checked_sub(age).unwrap_or(now);
                self.heartbeats =
                    heartbeats.into_iter().map(|(age, heartbeat)| (sent_at(age), heartbeat)).collect();
                let readable_since = *self.readable_since.get_or_insert(now);
                // After an outage of the registry all processes need time for their next heartbeat:
                // none of them is lost meanwhile.
                self.note_changes(events, now - readable_since > SILENT_MAX);
                None
            }
            Err(error) => {
                self.readable_since = None;
                if let Some(own) = registry.own() {
                    self.heartbeats.retain(|(_, heartbeat)| heartbeat.id != own.1.id);
                    self.heartbeats.push(own);
                }
                Some(format!("the other processes are not known: {error}"))
            }
        }
    }

    pub(crate) fn processes(&self) -> Vec<KnownProcess> {
        let now = self.clock.instant();
        let known = |(at, heartbeat): &(Instant, Heartbeat)| KnownProcess {
            heartbeat: heartbeat.clone(),
            silent: now - *at,
        };
        self.heartbeats.iter().map(known).collect()
    }

    /// Notes the processes that have joined or left and, unless it is too early to say,
    /// those that are lost.
    fn note_changes(&mut self, events: &Events, can_be_lost: bool) {
        let processes = self.processes();
        if processes.is_empty() {
            return;
        }
        let (now, is_first) = (self.clock.instant(), self.up.is_none());
        let up = self.up.get_or_insert_default();
        for KnownProcess { heartbeat, .. } in processes.iter().filter(|process| process.is_up()) {
            let seen = (heartbeat.name(), now);
            if up.insert(heartbeat.id.clone(), seen).is_none() && !is_first {
                let version = format!("version {}", heartbeat.version);
                events.note(EventKind::ProcessJoined, heartbeat.name(), version);
            }
        }
        up.retain(|id, (name, seen)| {
            let left = processes.iter().any(|process| process.heartbeat.id == *id && process.heartbeat.left);
            let lost = can_be_lost && now - *seen > SILENT_MAX;
            if left {
                events.note(EventKind::ProcessLeft, name.as_str(), "");
            } else if lost {
                events.note(EventKind::ProcessLost, name.as_str(), "it sends no heartbeat any more");
            }
            !left && !lost
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{observability::registry::Role, runtime::SystemClock};

    fn heartbeat(id: &str, left: bool) -> Heartbeat {
        Heartbeat {
            id: id.to_owned(),
            role: Role::Serve,
            host: id.to_owned(),
            pid: 1,
            version: "1".to_owned(),
            started_at: 0,
            left,
            checks: Vec::new(),
            products: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    #[test]
    fn a_process_that_leaves_is_not_lost_and_one_that_vanishes_is() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (mut liveness, registry) = (Liveness::new(&clock), ProcessRegistry::local(&clock));
        let events = Events::new(clock.clone());
        let fresh = Duration::from_millis(500);
        let all = |left| ["a", "b", "c", "d"].map(|id| (fresh, heartbeat(id, left == id))).to_vec();
        let long_ago = clock.instant().checked_sub(SILENT_MAX * 2).expect("a time");
        let mut update = |heartbeats: Vec<(Duration, Heartbeat)>| {
            assert_eq!(liveness.update(Ok(heartbeats), &registry, &events), None);
            liveness.readable_since = Some(long_ago);
        };
        update(all(""));
        // a leaves, b is silent, c has vanished, d goes on, e is new.
        let mut later = all("a");
        later.remove(2);
        later[1].0 = SILENT_MAX * 2;
        later.push((fresh, heartbeat("e", false)));
        update(later.clone());
        let about =
            |events: &Events| events.latest().into_iter().map(|event| event.about).collect::<Vec<_>>();
        assert_eq!(about(&events), ["serve e:1", "serve a:1"], "no process is lost at once");
        for (_, seen) in liveness.up.as_mut().expect("processes").values_mut() {
            *seen = long_ago;
        }
        assert_eq!(liveness.update(Ok(later), &registry, &events), None);
        let mut seen: Vec<_> = events.latest().into_iter().map(|event| (event.about, event.kind)).collect();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        let wanted = [
            ("serve a:1", EventKind::ProcessLeft),
            ("serve b:1", EventKind::ProcessLost),
            ("serve c:1", EventKind::ProcessLost),
            ("serve e:1", EventKind::ProcessJoined),
        ];
        assert_eq!(seen, wanted.map(|(about, kind)| (about.to_owned(), kind)));
        assert!(liveness.update(Err(RegistryError::Timeout), &registry, &events).is_some());
        assert_eq!(events.latest().len(), 4, "no process is lost while the registry can't be read");
    }

    #[test]
    fn a_process_may_join_and_leave_before_any_can_be_lost() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (mut liveness, registry) = (Liveness::new(&clock), ProcessRegistry::local(&clock));
        let events = Events::new(clock.clone());
        let own = (Duration::ZERO, heartbeat("a", false));
        for other in [None, Some(false), Some(true)] {
            let other = other.map(|left| (Duration::ZERO, heartbeat("b", left)));
            let heartbeats = [own.clone()].into_iter().chain(other).collect();
            assert_eq!(liveness.update(Ok(heartbeats), &registry, &events), None);
        }
        let kinds: Vec<_> = events.latest().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::ProcessJoined, EventKind::ProcessLeft]);
    }
}

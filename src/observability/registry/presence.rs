//! Who is there: the processes that report, those that have said goodbye, and those that are gone without a word.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Noticeboard, NoticeboardError, Report};
use crate::observability::{EventKind, Events};

/// A process that has not reported for so long does not count as being up.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// It is shown for so long.
const SHOWN_MAX: Duration = Duration::from_mins(10);

/// A report, as it is at a look.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) report: Report,
    /// How long ago it was posted.
    pub(crate) silent: Duration,
}

impl Present {
    pub(crate) fn is_up(&self) -> bool {
        !self.report.left && self.silent <= SILENT_MAX
    }

    /// Whether it is among the processes that are shown: up, or missed.
    pub(crate) fn is_shown(&self) -> bool {
        !self.report.left && self.silent <= SHOWN_MAX
    }
}

/// What is remembered of the processes from look to look.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The reports that were read last, and when they were posted: while Redis is away they are all there is.
    reports: Vec<(Instant, Report)>,
    /// Since when the noticeboard can be read.
    readable_since: Option<Instant>,
    /// The processes that are up, by id: the name, and when each was last seen to be. `None`: nobody has looked yet.
    up: Option<HashMap<String, (String, Instant)>>,
}

impl Presence {
    /// Takes the reports in; why those of the other processes are not to be had, if so.
    pub(crate) fn take(
        &mut self,
        read: Result<Vec<(Duration, Report)>, NoticeboardError>,
        noticeboard: &Noticeboard,
        events: &Events,
    ) -> Option<String> {
        match read {
            Ok(reports) => {
                let at = |age| Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                self.reports = reports.into_iter().map(|(age, report)| (at(age), report)).collect();
                let readable_since = *self.readable_since.get_or_insert_with(Instant::now);
                // Those that could not post either need a moment to come back.
                if self.up.is_none() || readable_since.elapsed() > SILENT_MAX {
                    self.note(events);
                }
                None
            }
            Err(error) => {
                self.readable_since = None;
                if let Some(mine) = noticeboard.mine() {
                    self.reports.retain(|(_, report)| report.id != mine.1.id);
                    self.reports.push(mine);
                }
                Some(format!("the other processes can't be seen: {error}"))
            }
        }
    }

    /// Everybody, at this moment.
    pub(crate) fn present(&self) -> Vec<Present> {
        let reports = self.reports.iter();
        reports.map(|(at, report)| Present { report: report.clone(), silent: at.elapsed() }).collect()
    }

    /// Notes who has come, and who is gone.
    fn note(&mut self, events: &Events) {
        let present = self.present();
        if present.is_empty() {
            return;
        }
        let is_first = self.up.is_none();
        let up = self.up.get_or_insert_default();
        for Present { report, .. } in present.iter().filter(|one| one.is_up()) {
            let seen = (report.name(), Instant::now());
            if up.insert(report.id.clone(), seen).is_none() && !is_first {
                events.note(EventKind::ProcessJoined, report.name(), format!("version {}", report.version));
            }
        }
        up.retain(|id, (name, seen)| {
            let said_goodbye = present.iter().any(|one| one.report.id == *id && one.report.left);
            if said_goodbye {
                events.note(EventKind::ProcessLeft, name.as_str(), "");
            } else if seen.elapsed() > SILENT_MAX {
                events.note(EventKind::ProcessLost, name.as_str(), "it does not report any more");
            }
            !said_goodbye && seen.elapsed() <= SILENT_MAX
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{observability::registry::Role, runtime::SystemClock};

    fn report(id: &str, left: bool) -> Report {
        Report {
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
    fn who_says_goodbye_is_not_missed_and_who_vanishes_is() {
        let (mut presence, noticeboard) = (Presence::default(), Noticeboard::local());
        let events = Events::new(std::sync::Arc::new(SystemClock));
        let fresh = Duration::from_millis(500);
        let all = |left| ["a", "b", "c", "d"].map(|id| (fresh, report(id, left == id))).to_vec();
        let long_ago = Instant::now().checked_sub(SILENT_MAX * 2).expect("a time");
        let mut take = |reports: Vec<(Duration, Report)>| {
            assert_eq!(presence.take(Ok(reports), &noticeboard, &events), None);
            presence.readable_since = Some(long_ago);
        };
        take(all(""));
        // a says goodbye, b is silent, c has vanished, d goes on, e is new.
        let mut later = all("a");
        later.remove(2);
        later[1].0 = SILENT_MAX * 2;
        later.push((fresh, report("e", false)));
        take(later.clone());
        let about =
            |events: &Events| events.latest().into_iter().map(|event| event.about).collect::<Vec<_>>();
        assert_eq!(about(&events), ["serve e:1", "serve a:1"], "nobody is missed at once");
        for (_, seen) in presence.up.as_mut().expect("processes").values_mut() {
            *seen = long_ago;
        }
        assert_eq!(presence.take(Ok(later), &noticeboard, &events), None);
        let mut seen: Vec<_> = events.latest().into_iter().map(|event| (event.about, event.kind)).collect();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        let wanted = [
            ("serve a:1", EventKind::ProcessLeft),
            ("serve b:1", EventKind::ProcessLost),
            ("serve c:1", EventKind::ProcessLost),
            ("serve e:1", EventKind::ProcessJoined),
        ];
        assert_eq!(seen, wanted.map(|(about, kind)| (about.to_owned(), kind)));
        assert!(presence.take(Err(NoticeboardError::Silent), &noticeboard, &events).is_some());
        assert_eq!(events.latest().len(), 4, "nobody is missed while nobody can be seen");
    }
}

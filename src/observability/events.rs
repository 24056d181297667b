//! The notable events of this process: few, for operators. Everything else is in the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::runtime::{Clock, secrets::scrub};

/// The latest are kept.
const KEPT_MAX: usize = 20;
/// Equal events in a row within this time are counted as one.
const IN_A_ROW_MAX_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    Opened,
    SoldOut,
    Paused,
    Resumed,
    /// A unit of a sold-out sale was returned.
    OnSaleAgain,
    Ended,
    OutageBegan,
    OutageEnded,
    /// Admission of a sale is being rebuilt from the ledger; it is not ready meanwhile.
    RebuildBegan,
    RebuildEnded,
    /// A purchase could not be recorded; an operator must decide.
    DeadLetter,
    /// The conservation law does not hold for a sale.
    LawBroken,
    LawHolds,
    ProcessJoined,
    /// The process ended in order.
    ProcessLeft,
    /// The process stopped sending heartbeats, and had not ended in order.
    ProcessLost,
    /// An event of another version of this program.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// In milliseconds since 1970.
    pub at: i64,
    pub kind: EventKind,
    /// A product, a dependency, a process, or a reason of dead letters.
    pub about: String,
    pub text: String,
    /// In a row, each within a minute of the one before.
    pub times: u32,
}

/// The latest events of this process; clones share them.
#[derive(Clone, Debug)]
pub struct Events {
    clock: Arc<dyn Clock>,
    latest: Arc<Mutex<VecDeque<Event>>>,
}

impl Events {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: Arc::default() }
    }

    pub fn note(&self, kind: EventKind, about: impl Into<String>, text: impl AsRef<str>) {
        let (at, about) = (self.clock.now().timestamp_millis(), about.into());
        let text = scrub(text.as_ref()).into_owned();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |last: &&mut Event| (last.kind, &last.about) == (kind, &about) && at - last.at <= IN_A_ROW_MAX_MS;
        if let Some(last) = latest.back_mut().filter(is_same) {
            (last.text, last.times) = (text, last.times.saturating_add(1));
            return;
        }
        if latest.len() == KEPT_MAX {
            latest.pop_front();
        }
        latest.push_back(Event { at, kind, about, text, times: 1 });
    }

    /// The latest events, from the oldest to the newest.
    pub fn latest(&self) -> Vec<Event> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_repeated_events_are_counted() {
        let events = Events::new(Arc::new(crate::runtime::SystemClock));
        events.note(EventKind::Opened, "p", "");
        for letter in 0..50 {
            events.note(EventKind::DeadLetter, "refused", format!("letter {letter}"));
        }
        let latest = events.latest();
        let seen: Vec<_> =
            latest.iter().map(|event| (event.kind, event.times, event.text.as_str())).collect();
        assert_eq!(seen, [(EventKind::Opened, 1, ""), (EventKind::DeadLetter, 50, "letter 49")]);
        for number in 0..50 {
            events.note(EventKind::ProcessJoined, format!("process {number}"), "");
        }
        assert_eq!(events.latest().len(), KEPT_MAX);
        assert_eq!(events.latest()[KEPT_MAX - 1].about, "process 49");
    }
}

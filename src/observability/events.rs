//! The notable things of an evening: few, for people. Everything else is in the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::runtime::Clock;

/// So many are kept, the latest.
const KEPT_MAX: usize = 20;
/// What happens again and again within this time is one event.
const IN_A_ROW_MAX_MS: i64 = 60_000;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// A sale began to sell.
    Opened,
    /// Its last unit is admitted.
    SoldOut,
    /// An operator has stopped it.
    Paused,
    /// It goes on.
    Resumed,
    /// It was sold out, and a unit can be had again.
    OnSaleAgain,
    /// Its window has closed.
    Ended,
    /// A service can't be reached.
    OutageBegan,
    /// It can be reached again.
    OutageEnded,
    /// A sale's admission is made anew from the ledger; nobody can buy meanwhile.
    RebuildBegan,
    /// It sells again.
    RebuildEnded,
    /// A purchase could not be recorded and needs an operator.
    DeadLetter,
    /// A sale's units do not add up.
    LawBroken,
    /// They add up again.
    LawHolds,
    /// A process reports for the first time.
    ProcessJoined,
    /// A process has ended in order.
    ProcessLeft,
    /// A process has stopped reporting without saying goodbye.
    ProcessLost,
    /// Something that this version does not know of.
    #[serde(other)]
    Other,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub kind: EventKind,
    /// To whom: a product, a dependency, a process, or a kind of dead letter.
    pub about: String,
    /// The details, for a person.
    pub text: String,
    /// How often in a row, within a minute.
    pub times: u32,
}

/// What happened to this process lately; clones share it.
#[derive(Clone, Debug)]
pub struct Events {
    clock: Arc<dyn Clock>,
    latest: Arc<Mutex<VecDeque<Event>>>,
}

impl Events {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: Arc::default() }
    }

    /// Notes that something happens now.
    pub fn note(&self, kind: EventKind, about: impl Into<String>, text: impl Into<String>) {
        let (at, about, text) = (self.clock.now().timestamp_millis(), about.into(), text.into());
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

    /// The latest ones, oldest first.
    pub fn latest(&self) -> Vec<Event> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_what_repeats_is_counted() {
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

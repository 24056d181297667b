//! The notable things of an evening: few, for people. Everything else is in the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// So many are kept, the latest.
const KEPT_MAX: usize = 20;

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
    /// A process has stopped reporting without saying goodbye.
    ProcessLost,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub kind: EventKind,
    /// To whom: a product, a dependency, a process.
    pub about: String,
    /// The details, for a person.
    pub text: String,
}

/// What happened to this process lately; clones share it.
#[derive(Clone, Debug)]
pub struct Events {
    clock: Clock,
    latest: Arc<Mutex<VecDeque<Event>>>,
}

impl Events {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, latest: Arc::default() }
    }

    /// Notes that something happens now.
    pub fn note(&self, kind: EventKind, about: impl Into<String>, text: impl Into<String>) {
        let event =
            Event { at: self.clock.now().timestamp_millis(), kind, about: about.into(), text: text.into() };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == KEPT_MAX {
            latest.pop_front();
        }
        latest.push_back(event);
    }

    /// The latest ones, oldest first.
    pub fn latest(&self) -> Vec<Event> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

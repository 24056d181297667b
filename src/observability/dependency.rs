//! The state of a service that this process depends on, with one log line when an outage begins and
//! one when it ends.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{EventKind, Events, Outage};
use crate::runtime::Clock;

/// Clones share the state.
///
/// Its state is told by the path that writes. An outage that a write has met is ended by a write
/// alone ([`Dependency::up`]), because a server that is read-only, full or damaged still answers
/// reads; any other outage is ended by a read, too ([`Dependency::reached`]).
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    state: Arc<Mutex<State>>,
    events: Option<Events>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct State {
    down_since: Option<Instant>,
    outage: Outage,
    /// The classes that this outage has had.
    classes: Vec<Outage>,
    /// A write has failed in this outage.
    needs_write: bool,
    /// Writes that have failed and are being repeated.
    failing: usize,
}

impl Dependency {
    /// The service is down until it is reached for the first time.
    pub fn new(name: &'static str, clock: &Arc<dyn Clock>) -> Self {
        let down_since = Some(clock.instant());
        let outage = Outage::NotConnectedYet;
        let state = State { down_since, outage, classes: Vec::new(), needs_write: false, failing: 0 };
        Self { name, state: Arc::new(Mutex::new(state)), events: None, clock: clock.clone() }
    }

    /// Outages are noted as events, too.
    #[must_use]
    pub fn noted_in(self, events: &Events) -> Self {
        Self { events: Some(events.clone()), ..self }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The service does what this process needs of it: of a service that is written to, a write has
    /// succeeded. Logs the end of an outage, with its length; not while another write is failing.
    pub fn up(&self) {
        self.end(|state| state.failing == 0);
    }

    /// The service answers a read, which says nothing about writes.
    pub fn reached(&self) {
        self.end(|state| !state.needs_write);
    }

    fn end(&self, may_end: impl FnOnce(&State) -> bool) {
        let mut state = self.lock();
        if !may_end(&state) {
            return;
        }
        state.needs_write = false;
        state.classes.clear();
        let Some(since) = state.down_since.take() else { return };
        if state.outage == Outage::NotConnectedYet {
            tracing::info!(dependency = self.name, "connected to {}", self.name);
            return;
        }
        let seconds = (self.clock.instant() - since).as_secs_f32();
        tracing::info!(dependency = self.name, "{} is up, after {seconds:.1} s", self.name);
        self.note(EventKind::OutageEnded, format!("after {seconds:.1} s"));
    }

    /// The service can't be used. `outage` is what people outside are told; `detail`, the words of
    /// a driver or server, goes to the log alone. Logs the beginning of an outage once, whatever
    /// else becomes of it.
    pub fn down(&self, outage: Outage, detail: impl Display) {
        self.begin(&mut self.lock(), outage, &detail);
    }

    fn begin(&self, state: &mut State, outage: Outage, detail: &dyn Display) {
        let name = self.name;
        if state.down_since.is_none() {
            tracing::warn!(dependency = name, "lost {name}: {outage} ({detail})");
            self.note(EventKind::OutageBegan, outage.to_string());
            state.down_since = Some(self.clock.instant());
        } else if state.outage == Outage::NotConnectedYet {
            tracing::info!(dependency = name, "waiting for {name}: {outage} ({detail})");
            self.note(EventKind::OutageBegan, outage.to_string());
        } else if outage.needs_operator() && !state.classes.contains(&outage) {
            // However the outage began, waiting does not end it.
            tracing::warn!(dependency = name, "still waiting for {name}: {outage} ({detail})");
        }
        if !state.classes.contains(&outage) {
            state.classes.push(outage);
        }
        state.outage = outage;
    }

    /// Follows a write that is repeated until it succeeds.
    pub fn writing(&self) -> Writing<'_> {
        Writing { dependency: self, failed: false }
    }

    /// Whether only a write can show that the outage is over.
    pub fn needs_write(&self) -> bool {
        let state = self.lock();
        state.needs_write && state.failing == 0
    }

    /// `None`: the service is up.
    pub fn outage(&self) -> Option<Outage> {
        let state = self.lock();
        state.down_since.map(|_| state.outage)
    }

    fn note(&self, kind: EventKind, text: String) {
        if let Some(events) = &self.events {
            events.note(kind, self.name, text);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that is repeated until it succeeds, or until it is given up by dropping this. Once it
/// has failed, the outage lasts at least as long as it is repeated, whatever succeeds beside it:
/// where only a part of the data is damaged, other writes do succeed.
#[derive(Debug)]
pub struct Writing<'dependency> {
    dependency: &'dependency Dependency,
    failed: bool,
}

impl Writing<'_> {
    pub fn failed(&mut self, outage: Outage, detail: impl Display) {
        let mut state = self.dependency.lock();
        state.failing += usize::from(!self.failed);
        state.needs_write = true;
        self.failed = true;
        self.dependency.begin(&mut state, outage, &detail);
    }

    pub fn succeeded(self) {
        let dependency = self.dependency;
        drop(self);
        dependency.up();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.failed {
            self.dependency.lock().failing -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::SystemClock;

    /// A dependency that is up, and the kinds of its events since.
    fn dependency() -> (Dependency, impl Fn() -> Vec<EventKind>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let events = Events::new(clock.clone());
        let dependency = Dependency::new("store", &clock).noted_in(&events);
        dependency.up();
        (dependency, move || events.latest().into_iter().map(|event| event.kind).collect())
    }

    #[test]
    fn a_read_does_not_end_an_outage_that_a_write_has_met() {
        let (store, events) = dependency();
        store.down(Outage::NoAnswer, "a read failed");
        store.reached();
        assert_eq!(store.outage(), None);
        let mut writing = store.writing();
        for _ in 0..3 {
            writing.failed(Outage::DiskFull, "no space left");
            store.reached();
            assert_eq!(store.outage(), Some(Outage::DiskFull));
        }
        writing.succeeded();
        assert_eq!(store.outage(), None);
        assert_eq!(events(), [EventKind::OutageBegan, EventKind::OutageEnded].repeat(2));
    }

    #[test]
    fn what_an_operator_must_end_is_told_once_however_the_outage_began() {
        let (store, _) = dependency();
        let classes = |outage| {
            store.down(outage, "");
            store.lock().classes.len()
        };
        assert_eq!(
            [Outage::NotConnected, Outage::AccessDenied, Outage::NotConnected].map(classes),
            [1, 2, 2]
        );
        assert!(Outage::AccessDenied.needs_operator() && !Outage::NotConnected.needs_operator());
        store.up();
        assert_eq!(classes(Outage::AccessDenied), 1, "another outage");
    }

    #[test]
    fn a_write_beside_one_that_fails_does_not_end_the_outage() {
        let (store, events) = dependency();
        let mut failing = store.writing();
        failing.failed(Outage::Damaged, "invalid page");
        store.writing().succeeded();
        assert!(store.outage().is_some() && !store.needs_write(), "it is being repeated");
        // Its writer has given it up: now another write may show the end.
        drop(failing);
        store.reached();
        assert!(store.outage().is_some() && store.needs_write());
        store.up();
        assert_eq!((store.outage(), store.needs_write()), (None, false));
        assert_eq!(events(), [EventKind::OutageBegan, EventKind::OutageEnded]);
    }
}

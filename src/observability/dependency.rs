//! The state of a service that this process depends on, with one log line when an outage begins and
//! one when it ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{EventKind, Events};
use crate::runtime::Clock;

/// Clones share the state.
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
    /// `None` before the first attempt to connect has failed.
    reason: Option<String>,
}

impl Dependency {
    /// The service is down until it is reached for the first time.
    pub fn new(name: &'static str, clock: &Arc<dyn Clock>) -> Self {
        let state = State { down_since: Some(clock.instant()), reason: None };
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

    /// The service answers. Logs the end of an outage, with its length.
    pub fn up(&self) {
        let mut state = self.lock();
        if let Some(since) = state.down_since.take() {
            if state.reason.is_some() {
                let seconds = (self.clock.instant() - since).as_secs_f32();
                tracing::info!(dependency = self.name, "{} is up, after {seconds:.1} s", self.name);
                self.note(EventKind::OutageEnded, format!("after {seconds:.1} s"));
            } else {
                tracing::info!(dependency = self.name, "connected to {}", self.name);
            }
        }
    }

    /// The service does not answer. Logs the beginning of an outage once.
    pub fn down(&self, reason: impl std::fmt::Display) {
        let reason = reason.to_string();
        let mut state = self.lock();
        if state.down_since.is_none() {
            tracing::warn!(dependency = self.name, "lost {}: {reason}", self.name);
            self.note(EventKind::OutageBegan, reason.clone());
            state.down_since = Some(self.clock.instant());
        } else if state.reason.is_none() {
            tracing::info!(dependency = self.name, "waiting for {}: {reason}", self.name);
            self.note(EventKind::OutageBegan, reason.clone());
        }
        state.reason = Some(reason);
    }

    /// The reason of the outage; `None`: the service is up.
    pub fn outage(&self) -> Option<String> {
        let state = self.lock();
        state.down_since.map(|_| state.reason.clone().unwrap_or_else(|| "not connected yet".to_owned()))
    }

    fn note(&self, kind: EventKind, text: String) {
        if let Some(events) = &self.events {
            events.note(kind, self.name, text);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How a service that we depend on is waited for: its state for the readiness answer, one log line when an
//! outage begins and one when it ends, and a jittered, bounded back-off between tries.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::telemetry::{EventKind, Events};

/// A service that this process needs, as it stands now. Clones share the state.
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    state: Arc<Mutex<State>>,
    events: Option<Events>,
}

#[derive(Debug)]
struct State {
    down_since: Option<Instant>,
    /// `None`: nothing was said of it yet.
    reason: Option<String>,
}

impl Dependency {
    /// A dependency that hasn't been reached yet.
    pub fn new(name: &'static str) -> Self {
        let state = State { down_since: Some(Instant::now()), reason: None };
        Self { name, state: Arc::new(Mutex::new(state)), events: None }
    }

    /// The same, whose outages are also noted there.
    #[must_use]
    pub fn noted_in(self, events: &Events) -> Self {
        Self { events: Some(events.clone()), ..self }
    }

    /// Its name in logs and in the readiness answer.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It answers. Logs the end of an outage, with its length.
    pub fn up(&self) {
        let mut state = self.lock();
        if let Some(since) = state.down_since.take() {
            if state.reason.is_some() {
                let seconds = since.elapsed().as_secs_f32();
                tracing::info!(dependency = self.name, "{} is up, after {seconds:.1} s", self.name);
                self.note(EventKind::OutageEnded, format!("after {seconds:.1} s"));
            } else {
                tracing::info!(dependency = self.name, "connected to {}", self.name);
            }
        }
    }

    /// It doesn't answer, and why. Logs the beginning of an outage once.
    pub fn down(&self, reason: impl std::fmt::Display) {
        let reason = reason.to_string();
        let mut state = self.lock();
        if state.down_since.is_none() {
            tracing::warn!(dependency = self.name, "lost {}: {reason}", self.name);
            self.note(EventKind::OutageBegan, reason.clone());
            state.down_since = Some(Instant::now());
        } else if state.reason.is_none() {
            tracing::info!(dependency = self.name, "waiting for {}: {reason}", self.name);
            self.note(EventKind::OutageBegan, reason.clone());
        }
        state.reason = Some(reason);
    }

    /// `None` when it is up, the reason when not.
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

/// Pauses between tries: doubling from `first` up to `longest`, each shortened at random by up to a half, so
/// that many processes that lost the same server don't return in step.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// From `first`, doubling to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, first, longest }
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits before the next try.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next.mul_f64(1.0 - fastrand::f64() / 2.0)).await;
        self.next = self.longest.min(self.next * 2);
    }
}

impl Default for Backoff {
    /// From 100 ms to 3 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(3))
    }
}

//! Notices a queue that takes messages, and neither confirms nor delivers any.
//!
//! RabbitMQ that is killed within a second of a queue's first declaration has such a queue after
//! its restart; a quorum queue that has lost the majority of its nodes is one, too.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::runtime::Runtime;

#[derive(Debug)]
pub(super) struct Stall {
    since: Mutex<Option<Instant>>,
    runtime: Runtime,
}

impl Stall {
    pub(super) fn new(runtime: &Runtime) -> Self {
        Self { since: Mutex::default(), runtime: runtime.clone() }
    }

    /// A message that was sent at this time is not confirmed in time.
    pub(super) fn suspected(&self, sent_at: Instant) {
        self.lock().get_or_insert(sent_at);
    }

    /// The queue confirms or delivers, or it is out of reach, and so nothing is known of it.
    pub(super) fn ended(&self) {
        *self.lock() = None;
    }

    pub(super) fn lasts(&self) -> Option<Duration> {
        self.lock().map(|since| self.runtime.instant() - since)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

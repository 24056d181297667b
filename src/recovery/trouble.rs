//! What keeps the leader from a part of its work, told once when it begins and once when it ends.

use std::time::{Duration, Instant};

/// What passes within this time (a failover, a leader that has just ended) is not told.
const TOLD_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Trouble {
    /// What can't be done.
    what: &'static str,
    since: Option<Instant>,
    is_told: bool,
}

impl Trouble {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, since: None, is_told: false }
    }

    /// The latest try failed.
    pub(super) fn goes_on(&mut self, now: Instant, error: &str) {
        let since = *self.since.get_or_insert(now);
        if !self.is_told && now - since >= TOLD_AFTER {
            self.is_told = true;
            tracing::warn!("{}, and will be tried again: {error}", self.what);
        } else {
            tracing::debug!(error, "{}", self.what);
        }
    }

    /// The latest try succeeded, or nothing needs to be tried.
    pub(super) fn ended(&mut self, now: Instant) {
        let (since, was_told) = (self.since.take(), std::mem::take(&mut self.is_told));
        if let Some(since) = since.filter(|_| was_told) {
            let seconds = (now - since).as_secs_f32();
            tracing::info!("over after {seconds:.1} s: {}", self.what);
        }
    }
}

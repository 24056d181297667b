//! Jittered, bounded exponential back-off.

use std::time::Duration;

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

//! Jittered, bounded exponential back-off.

use std::time::Duration;

use super::Runtime;

/// Pauses between retries: doubling from `first` to `longest`, each shortened at random by up to a
/// half, so that many processes that lost the same server do not reconnect in step.
#[derive(Debug)]
pub struct Backoff {
    runtime: Runtime,
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new(runtime: &Runtime, first: Duration, longest: Duration) -> Self {
        Self { runtime: runtime.clone(), next: first, first, longest }
    }

    /// From 100 ms to 3 s.
    pub fn of_reconnects(runtime: &Runtime) -> Self {
        Self::new(runtime, Duration::from_millis(100), Duration::from_secs(3))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits before the next retry.
    pub async fn wait(&mut self) {
        let jittered = self.next.mul_f64(1.0 - self.runtime.entropy.fraction() / 2.0);
        self.next = self.longest.min(self.next * 2);
        self.runtime.sleep(jittered).await;
    }
}

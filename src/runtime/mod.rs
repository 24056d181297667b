//! What a process takes from its surroundings: time, randomness, signals, open files.

mod backoff;
mod clock;
pub mod crash_points;
mod entropy;
mod error_chain;
pub mod open_files;
pub mod shutdown;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock};
pub use entropy::{Entropy, SystemEntropy};
pub use error_chain::{Cause, error_chain};

/// Clock and entropy of a process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl Runtime {
    /// The operating system's.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }

    pub fn instant(&self) -> Instant {
        self.clock.instant()
    }

    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Waits for `future` for at most `limit`. `None`: the limit was reached, and
    /// the future is dropped.
    pub async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = self.clock.sleep(limit) => None,
        }
    }
}

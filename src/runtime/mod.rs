//! What a process shares with its surroundings: time, randomness, signals, output, open files; and
//! its background tasks.

mod backoff;
mod clock;
pub mod crash_points;
mod entropy;
mod error_chain;
mod file_error;
pub mod open_files;
pub mod output;
mod screen;
mod secret_file;
pub mod secrets;
pub mod shutdown;
mod stderr;
pub mod tasks;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock};
pub use entropy::{Entropy, SystemEntropy};
pub use error_chain::{Cause, error_chain};
pub use file_error::{FileError, user_name};
pub use screen::{Colour, Screen, wrapped};
pub use secret_file::read_secret;
use tasks::Tasks;

/// Clock, entropy and tasks of a process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub tasks: Tasks,
}

impl Runtime {
    /// The operating system's, with no task yet.
    pub fn system() -> Self {
        let tasks = Tasks::default();
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), tasks }
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

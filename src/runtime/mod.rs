//! What the process takes from its surroundings: time, randomness, signals, open files.

mod backoff;
mod clock;
pub mod crash_points;
pub(crate) mod mutants;
pub mod open_files;
pub mod shutdown;

pub use backoff::Backoff;
pub use clock::Clock;

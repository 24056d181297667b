//! The three stores that a process is connected to, and whether they are ready.

mod bundle;
pub mod readiness;

pub use bundle::Stores;

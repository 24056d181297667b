//! Deterministic simulation: the parts of the system on simulated services, in simulated time.

#![allow(
    clippy::disallowed_methods,
    reason = "simulated services keep tokio's paused clock themselves, and tests choose seeds"
)]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod redis;

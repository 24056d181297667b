//! Deterministic simulation: the parts of the system on simulated services, in simulated time.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod redis;

//! What happens to a sale when something dies, is wiped, rolled back, cut off, stopped or misused in the middle of it.
//! Each fault is shown to have taken hold, and each sale ends in the audit. `docs/RELIABILITY.md` lists which test is
//! for which fault.

mod clients;
mod crowds;
mod failover;
mod messages;
mod outages;
mod output;
#[cfg(feature = "failpoints")]
mod panics;
mod pooling;
mod postgresql;
#[cfg(feature = "failpoints")]
mod processes;
pub(crate) mod rabbitmq;
mod redis;
mod shared_broker;
mod shared_redis;
mod split_brain;

//! The simulated Redis is itself tested: against redis-server where both can do a thing, by itself where not.

mod commands;
mod comparison;
mod failover;
mod faults;
mod network;
mod scripts;
mod support;

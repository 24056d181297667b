//! A simulated Redis that runs the real scripts: one primary, any number of replicas, simulated time, and faults.
//!
//! ```ignore
//! let redis = SimRedis::new(clock, seed);
//! let replica = redis.add_replica();
//! let mut connection = redis.connect().await?;      // implements `redis::aio::ConnectionLike`
//! redis.promote(replica, 3);                         // without the last three writes
//! ```
//!
//! Every run with the same seed, clock and calls gives the same replies.

mod cluster;
mod commands;
mod connection;
mod execution;
mod failover;
mod faults;
mod keyspace;
mod lua;
mod network;
mod reply;
mod server;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::{cluster::SimRedis, connection::SimConnection, network::Delivery};

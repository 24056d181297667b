//! Private servers on free ports, each with its own data directory, started as direct children and ended with
//! the test. What was on the machine before is never touched.
//!
//! Who needs only some of the files (the benchmark, an example, the simulation) declares those.

mod operate;
mod pgbouncer;
mod postgres;
mod rabbitmq;
mod rabbitmqctl;
mod redis;
mod server;

use std::process::Command;

pub(crate) use pgbouncer::pgbouncer;
pub(crate) use rabbitmq::{Rabbit, rabbitmq};
pub(crate) use redis::redis_with;
pub(crate) use server::{Server, free_port};

pub(crate) fn redis() -> Server {
    redis_with(&[])
}

pub(crate) fn postgres() -> Server {
    postgres::postgres_with(&[])
}

/// A server that needs nothing but its port.
pub(crate) fn start_plain(
    name: &'static str,
    port: u16,
    command: impl Fn() -> Command + Send + Sync + 'static,
    ready: impl Fn(u16) -> bool + Send + Sync + 'static,
) -> Server {
    Server::launch(name, server::data_dir(), port, command, ready)
}

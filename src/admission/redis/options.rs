//! `[redis]`

use std::time::Duration;

use crate::config::{Reader, ServiceUrl};

#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port[/db]`
    pub url: ServiceUrl,
    /// First part of every key.
    pub prefix: String,
    /// Shared connections, besides the one that each thread of a server has of its own.
    pub connections: usize,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
}

impl RedisOptions {
    pub fn read(reader: &mut Reader, url: ServiceUrl, prefix: &str) -> Self {
        Self {
            url,
            prefix: prefix.to_owned(),
            connections: reader.integer("redis.connections", 1..=64),
            connect_timeout: reader.millis("redis.connect_timeout_ms", 10..=60_000),
            response_timeout: reader.millis("redis.response_timeout_ms", 10..=60_000),
        }
    }

    /// Connections that a process may have at a time, besides those of its server threads.
    pub fn connections_max(&self) -> usize {
        // Each may be replaced while its end is still awaited.
        2 * self.connections
    }
}

//! `[broker]`, except for how long an attempt waits for a confirm.

use std::time::Duration;

use super::Topology;
use crate::config::{Reader, ServiceUrl};

#[derive(Clone, Debug)]
pub struct RabbitOptions {
    /// `amqp://user:password@host:port/vhost`
    pub url: ServiceUrl,
    pub topology: Topology,
    /// Seconds between heartbeats; a dead peer is noticed after two.
    pub heartbeat_s: u16,
    pub connect_timeout: Duration,
    /// Longest wait for a confirm, after which the connection is replaced.
    pub publish_timeout: Duration,
    /// Messages that a consumer may hold unacknowledged.
    pub prefetch_messages: u16,
    /// Whether the publishing connection is up only once the queue has confirmed a message without
    /// purchases, which stays in the queue until a worker takes it.
    pub proves_queue: bool,
}

impl RabbitOptions {
    pub fn read(reader: &mut Reader, url: ServiceUrl, prefix: &str) -> Self {
        if names_no_vhost(&url) {
            reader.wrong_url(
                "amqp_url",
                &"a URL that names its virtual host: the path / alone is an empty name. Leave it out for the virtual \
                  host /, or write /%2f or /name",
            );
        }
        Self {
            url,
            topology: Topology::new(prefix),
            heartbeat_s: reader.integer("broker.heartbeat_s", 1..=600),
            connect_timeout: reader.millis("broker.connect_timeout_ms", 10..=60_000),
            publish_timeout: reader.millis("broker.publish_timeout_ms", 10..=600_000),
            prefetch_messages: reader.integer("broker.prefetch_messages", 1..=65_535),
            proves_queue: true,
        }
    }

    /// Connections that a process with so many consumers may have at a time.
    pub fn connections_max(consumers: usize) -> usize {
        /// Of the publisher, the bindings, and the dead letters.
        const OTHERS: usize = 3;
        // Each may be replaced while its end is still awaited.
        2 * (consumers + OTHERS)
    }
}

/// Whether the path is there and empty: the name of a virtual host that RabbitMQ does not have.
fn names_no_vhost(url: &ServiceUrl) -> bool {
    let without_query = url.expose().split(['?', '#']).next().unwrap_or_default();
    without_query.split_once("://").is_some_and(|(_, rest)| rest.ends_with('/'))
}

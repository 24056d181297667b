//! `[api]`, whose limits hold for the shop as well.

use std::{net::SocketAddr, time::Duration};

use super::security::cors::CorsOrigins;
use crate::config::Reader;

#[derive(Clone, Debug)]
pub struct ApiOptions {
    pub addr: SocketAddr,
    /// Connections at a time.
    pub connections_max: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    /// How long a process goes on to serve after the signal that ends it.
    pub drain: Duration,
    /// Of the API alone.
    pub cors_origins: CorsOrigins,
}

impl ApiOptions {
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            addr: reader.addr("api.addr"),
            connections_max: reader.integer("api.connections_max", 1..=1_000_000),
            head_timeout: reader.millis("api.head_timeout_ms", 100..=600_000),
            body_timeout: reader.millis("api.body_timeout_ms", 100..=600_000),
            drain: reader.millis("api.drain_ms", 0..=600_000),
            cors_origins: reader.list("api.cors_origins", CorsOrigins::parse),
        }
    }
}

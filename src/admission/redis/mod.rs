//! Admission in Redis. Each operation is one script; the file of the same name states its contract.

use std::sync::Arc;

use tokio::sync::watch;

mod attempts;
mod call;
mod connections;
mod error;
mod fitness;
mod keys;
mod link;
mod operator;
mod options;
mod rebuild;
mod records;
mod replies;
mod scripts;
mod server;
mod server_connections;
mod settlement;

pub use connections::{Connections, Connector, InUse};
pub use keys::Keys;
pub use link::Link;
pub use options::RedisOptions;
pub use scripts::{Scripts, scripts};
use server_connections::ServerConnector;

use super::{Admission, watermarks::Watermarks};
use crate::domain::SystemId;
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// Admission in Redis; clones share its connections.
#[derive(Clone)]
pub struct RedisAdmission<C = Link<ServerConnector>> {
    connections: C,
    shared: Arc<Shared>,
}

struct Shared {
    prefix: String,
    scripts: Scripts,
    watermarks: Watermarks,
    /// `None`: the ledger, which has it, was not reached yet.
    system: watch::Receiver<Option<SystemId>>,
}

impl RedisAdmission {
    /// Starts connecting in the background; until then every operation is
    /// [`AdmissionError::Unavailable`](super::AdmissionError::Unavailable).
    pub fn start(
        options: &RedisOptions,
        scripts: Scripts,
        system: watch::Receiver<Option<SystemId>>,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Result<Self, redis::RedisError> {
        let connector = ServerConnector::new(options)?;
        let link = Link::start(connector, options.connections, &options.prefix, dependency, runtime);
        Ok(Self::of_system(link, &options.prefix, scripts, system))
    }
}

impl<C: Connections> RedisAdmission<C> {
    /// Of no system: nothing is compared.
    pub fn new(connections: C, prefix: &str, scripts: Scripts) -> Self {
        Self::of_system(connections, prefix, scripts, watch::channel(None).1)
    }

    pub fn of_system(
        connections: C,
        prefix: &str,
        scripts: Scripts,
        system: watch::Receiver<Option<SystemId>>,
    ) -> Self {
        let (prefix, watermarks) = (prefix.to_owned(), Watermarks::default());
        Self { connections, shared: Arc::new(Shared { prefix, scripts, watermarks, system }) }
    }
}

impl<C: Connections> Admission for RedisAdmission<C> {
    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(Self { connections: self.connections.on_this_thread(), shared: self.shared.clone() })
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

impl<C> std::fmt::Debug for RedisAdmission<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RedisAdmission({})", self.shared.prefix)
    }
}

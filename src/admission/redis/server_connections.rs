//! Connections to a Redis server.

use deadpool_redis::Pool;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::{
    Connections, RedisOptions,
    link::{Link, Use},
};
use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// Supervised connections for the hot path, and a pool.
#[derive(Clone)]
pub struct ServerConnections {
    link: Link,
    pool: Pool,
}

impl ServerConnections {
    /// Starts connecting in the background.
    pub(super) fn start(
        options: &RedisOptions,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Result<Self, RedisError> {
        let client = Client::open(options.url.expose())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let link =
            Link::start(client, options.connections, config.clone(), dependency.clone(), runtime.clone());
        let manager = deadpool_redis::Manager::new_with_config(options.url.expose(), config)?;
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.response_timeout))
            .build()
            .map_err(|_no_runtime| RedisError::from((redis::ErrorKind::InvalidClientConfig, "pool")))?;
        Ok(Self { link, pool })
    }
}

impl Connections for ServerConnections {
    type Hot = Use;
    type Pooled = deadpool_redis::Connection;

    fn hot(&self) -> Result<Self::Hot, AdmissionError> {
        self.link.get()
    }

    async fn pooled(&self) -> Result<Self::Pooled, AdmissionError> {
        Ok(self.pool.get().await?)
    }

    fn on_this_thread(&self) -> Self {
        Self { link: self.link.on_this_thread(), pool: self.pool.clone() }
    }
}

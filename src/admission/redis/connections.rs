//! Where [`super::RedisAdmission`] gets its connections. The trait is the seam at which a test puts
//! a simulated Redis.

use deadpool_redis::Pool;
use redis::{AsyncConnectionConfig, Client, RedisError, aio::ConnectionLike};

use super::{RedisOptions, link::Link};
use crate::admission::AdmissionError;
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// A source of connections to one Redis.
pub trait Connections: Clone + Send + Sync + 'static {
    type Hot: HotConnection;
    type Pooled: ConnectionLike + Send;

    /// A connection for the hot path, without waiting.
    fn hot(&self) -> Result<Self::Hot, AdmissionError>;

    /// A connection for everything else.
    fn pooled(&self) -> impl Future<Output = Result<Self::Pooled, AdmissionError>> + Send;

    /// The same source, with a hot connection that the runtime of the caller serves: an attempt
    /// from there makes no other thread wake up.
    #[must_use]
    fn on_this_thread(&self) -> Self;
}

/// A multiplexed connection in use.
pub trait HotConnection: Send {
    type Connection: ConnectionLike + Send;

    fn connection(&mut self) -> &mut Self::Connection;

    /// The identity of the server that the connection leads to, as it was at the time of
    /// connecting.
    fn server(&self) -> &str;

    /// Turns the error of a command on this connection into ours, and has the connection replaced
    /// if the connection is to blame.
    fn failed(&self, error: RedisError) -> AdmissionError;
}

/// Connections to a Redis server: supervised ones for the hot path, and a pool.
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
    type Hot = super::link::Use;
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

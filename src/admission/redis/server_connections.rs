//! Connections to a Redis server.

use futures_util::future::BoxFuture;
use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use tokio::task::JoinSet;

use super::{Connector, RedisOptions};

pub struct ServerConnector {
    client: Client,
    config: AsyncConnectionConfig,
}

impl ServerConnector {
    pub(super) fn new(options: &RedisOptions) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        Ok(Self { client: Client::open(options.url.expose())?, config })
    }
}

impl Connector for ServerConnector {
    type Connection = MultiplexedConnection;
    type Task = JoinSet<()>;

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.client.get_multiplexed_async_connection_with_config(&self.config).await
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        tasks
    }
}

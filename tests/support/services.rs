//! A place of one's own on the servers that `scripts/test` has started: a prefix and a database for each test.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use redis::{self, aio::MultiplexedConnection};
use tokio_postgres::NoTls;

use super::process::Flashsale;

/// A catalogue for a test that does not care what is sold.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/products.toml");

/// Where a test's system lives.
pub(crate) struct Services {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) amqp_url: String,
    pub(crate) prefix: String,
}

/// Where the shared servers are.
pub(crate) struct Urls {
    pub(crate) database: String,
    pub(crate) redis: String,
    pub(crate) amqp: String,
}

fn variable(name: &str) -> String {
    let name = format!("TEST_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with scripts/test"))
}

impl Services {
    /// Of the shared servers.
    pub(crate) fn urls() -> Urls {
        Urls { database: variable("DATABASE_URL"), redis: variable("REDIS_URL"), amqp: variable("AMQP_URL") }
    }

    /// On the shared servers.
    pub(crate) async fn new() -> Self {
        Self::on(&variable("DATABASE_URL"), &variable("REDIS_URL"), &variable("AMQP_URL")).await
    }

    /// On these servers; the database URL is of a database that is there already.
    pub(crate) async fn on(database_url: &str, redis_url: &str, amqp_url: &str) -> Self {
        let prefix = format!("t{:016x}", fastrand::u64(..));
        let (client, driver) = tokio_postgres::connect(database_url, NoTls).await.expect("PostgreSQL");
        tokio::spawn(driver);
        client.batch_execute(&format!("CREATE DATABASE {prefix}")).await.expect("a database");
        let (server, _) = database_url.rsplit_once('/').expect("a database URL");
        Self {
            database_url: format!("{server}/{prefix}"),
            redis_url: redis_url.to_owned(),
            amqp_url: amqp_url.to_owned(),
            prefix,
        }
    }

    /// The same place, reached in another way: URLs of database server, Redis and RabbitMQ.
    pub(crate) fn elsewhere(&self, [database, redis, amqp]: &[String; 3]) -> Self {
        let (server, _) = database.rsplit_once('/').expect("a database URL");
        Self {
            database_url: format!("{server}/{}", self.prefix),
            redis_url: redis.clone(),
            amqp_url: amqp.clone(),
            prefix: self.prefix.clone(),
        }
    }

    /// Starts one of our processes here, on free ports.
    pub(crate) fn spawn(&self, arguments: &[&str], more: &[(&str, &str)]) -> Flashsale {
        Flashsale::spawn(arguments, &self.variables(more))
    }

    /// The environment of our processes here.
    pub(crate) fn variables<'here>(
        &'here self,
        more: &[(&'here str, &'here str)],
    ) -> Vec<(&'here str, &'here str)> {
        let mut variables = vec![
            ("DATABASE_URL", self.database_url.as_str()),
            ("REDIS_URL", &self.redis_url),
            ("AMQP_URL", &self.amqp_url),
            ("FLASHSALE_PRODUCTS", DEMO),
            ("FLASHSALE_PREFIX", &self.prefix),
            ("FLASHSALE_API_ADDR", "127.0.0.1:0"),
            ("FLASHSALE_WEB_ADDR", "127.0.0.1:0"),
            ("FLASHSALE_CONSOLE_ADDR", "127.0.0.1:0"),
            ("FLASHSALE_WORK_HEALTH_ADDR", "127.0.0.1:0"),
        ];
        variables.extend(more);
        variables
    }

    pub(crate) async fn sql(&self) -> tokio_postgres::Client {
        let (client, driver) = tokio_postgres::connect(&self.database_url, NoTls).await.expect("PostgreSQL");
        tokio::spawn(driver);
        client
    }

    /// Keeps a copy of the database as it is now, which [`Services::restore`] puts back.
    pub(crate) async fn back_up(&self) {
        self.copy_database(&self.prefix, &format!("{}_backup", self.prefix)).await;
    }

    /// Puts the copy of [`Services::back_up`] in place of the database.
    pub(crate) async fn restore(&self) {
        self.copy_database(&format!("{}_backup", self.prefix), &self.prefix).await;
    }

    /// Rows of purchases in the copy of [`Services::back_up`].
    pub(crate) async fn rows_in_backup(&self) -> i64 {
        let backup = Self { database_url: format!("{}_backup", self.database_url), ..self.same() };
        backup.count("SELECT count(*) FROM purchases").await
    }

    fn same(&self) -> Self {
        let [database_url, redis_url, amqp_url] =
            [&self.database_url, &self.redis_url, &self.amqp_url].map(Clone::clone);
        Self { database_url, redis_url, amqp_url, prefix: self.prefix.clone() }
    }

    /// Makes a database, anew, as a copy of another one. The sessions of both end.
    async fn copy_database(&self, from: &str, to: &str) {
        let (server, _) = self.database_url.rsplit_once('/').expect("a database URL");
        let (client, driver) =
            tokio_postgres::connect(&format!("{server}/postgres"), NoTls).await.expect("PostgreSQL");
        tokio::spawn(driver);
        let both = format!("datname IN ('{from}', '{to}')");
        let copy = [
            // Each in a transaction of its own: nobody may connect again once the sessions end.
            format!("UPDATE pg_database SET datallowconn = false WHERE {both}"),
            format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {both}"),
            format!("DROP DATABASE IF EXISTS {to}"),
            format!("CREATE DATABASE {to} TEMPLATE {from}"),
            format!("UPDATE pg_database SET datallowconn = true WHERE {both}"),
        ];
        for statement in copy {
            client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    }

    /// One number from the database; 0 where the table does not exist yet.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.sql().await.query_one(query, &[]).await.map_or(0, |row| row.get(0))
    }

    /// The id of this system. Its ledger must be migrated.
    pub(crate) async fn system(&self) -> String {
        self.sql().await.query_one("SELECT id::text FROM system", &[]).await.expect("system").get(0)
    }

    pub(crate) async fn redis(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.redis_url.as_str()).expect("Redis URL");
        client.get_multiplexed_async_connection().await.expect("Redis")
    }

    /// The Redis key of a product.
    pub(crate) fn key(&self, product: &str, name: &str) -> String {
        format!("{}:{{{product}}}:{name}", self.prefix)
    }

    /// All keys of this system.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{}:*", self.prefix))
            .query_async(&mut self.redis().await)
            .await
            .expect("KEYS");
        keys.sort();
        keys
    }

    pub(crate) async fn channel(&self) -> Channel {
        let connection = Connection::connect(&self.amqp_url, ConnectionProperties::default()).await;
        connection.expect("RabbitMQ").create_channel().await.expect("channel")
    }

    /// Whether the queue of purchases is declared.
    pub(crate) async fn has_queue(&self) -> bool {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = format!("{}.purchases", self.prefix);
        self.channel().await.queue_declare(name.into(), passive, FieldTable::default()).await.is_ok()
    }

    /// Whether the queue of purchases confirms a message within some seconds.
    pub(crate) async fn confirms(&self) -> bool {
        let (channel, name) = (self.channel().await, format!("{}.purchases", self.prefix));
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("".into(), name.into(), options, b"{}", properties).await;
        tokio::time::timeout(Duration::from_secs(3), sent.expect("publish")).await.is_ok()
    }

    /// How many messages are ready in a queue (`purchases` or `purchases.dead`); 0 where there is none.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let name = format!("{}.{queue}", self.prefix);
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel().await.queue_declare(name.into(), passive, FieldTable::default()).await;
        declared.map_or(0, |queue| queue.message_count())
    }

    /// Puts a message into the queue of purchases.
    pub(crate) async fn publish(&self, body: &[u8]) {
        let queue = format!("{}.purchases", self.prefix);
        let channel = self.channel().await;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("".into(), queue.into(), options, body, properties).await;
        sent.expect("publish").await.expect("sent");
        channel.close(200, "done".into()).await.expect("close");
    }

    /// Takes a message from a queue: its body and its `reason` header.
    pub(crate) async fn take(&self, queue: &str) -> Option<(Vec<u8>, String)> {
        let name = format!("{}.{queue}", self.prefix);
        let options = BasicGetOptions { no_ack: true };
        let message = self.channel().await.basic_get(name.into(), options).await.expect("get")?;
        let headers = message.delivery.properties.headers().clone().unwrap_or_default();
        let reason = headers.inner().get("reason").and_then(|value| value.as_long_string());
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        Some((message.delivery.data, reason))
    }
}

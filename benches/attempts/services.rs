//! Private Redis, RabbitMQ and PostgreSQL, which end with the benchmark.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use crate::{
    cpu,
    servers::{
        postgres::postgres_with,
        rabbitmq::{Rabbit, rabbitmq},
        redis::redis_with,
        server::Server,
    },
};

pub(crate) struct Services {
    pub(crate) redis: Server,
    rabbit: Rabbit,
    postgres: Server,
}

impl Services {
    pub(crate) fn start() -> Self {
        std::thread::scope(|scope| {
            let redis = scope.spawn(|| redis_with(&[]));
            // The tests run it without fsync; a commit that is measured has to reach the disk.
            let postgres = scope.spawn(|| postgres_with(&["-c", "fsync=on"]));
            let rabbit = rabbitmq();
            let (redis, postgres) = (redis.join().expect("Redis"), postgres.join().expect("PostgreSQL"));
            Self { redis, rabbit, postgres }
        })
    }

    /// Redis, RabbitMQ, PostgreSQL.
    pub(crate) fn processes(&self) -> [Option<u32>; 3] {
        [&self.redis, &self.rabbit.node, &self.postgres].map(|server| server.child.as_ref().map(Child::id))
    }

    /// Waits until what a measurement has left to do in the background (compaction, checkpoints)
    /// is done: until the services use less than a tenth of a core, or for ten seconds.
    pub(crate) fn wait_until_idle(&self) {
        const INTERVAL: Duration = Duration::from_millis(300);
        let deadline = Instant::now() + Duration::from_secs(10);
        let used = || cpu::seconds_of_trees(self.processes()).iter().sum::<f64>();
        let mut before = used();
        while Instant::now() < deadline {
            std::thread::sleep(INTERVAL);
            let now = used();
            if now - before < INTERVAL.as_secs_f64() / 10.0 {
                return;
            }
            before = now;
        }
    }

    /// Variables under which a process finds the services.
    pub(crate) fn environment(&self, database: &str) -> [(&'static str, String); 3] {
        [
            ("REDIS_URL", format!("redis://127.0.0.1:{}", self.redis.port)),
            ("AMQP_URL", format!("amqp://guest:guest@127.0.0.1:{}", self.rabbit.node.port)),
            ("DATABASE_URL", self.database_url(database)),
        ]
    }

    fn database_url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.postgres.port)
    }

    pub(crate) fn redis(&self) -> redis::Connection {
        let client = redis::Client::open(("127.0.0.1", self.redis.port)).expect("Redis address");
        client.get_connection().expect("Redis")
    }

    pub(crate) fn create_database(&self, name: &str) {
        self.query("postgres", &format!("CREATE DATABASE {name}"));
    }

    /// The columns of the first row.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Vec<f64> {
        let url = self.database_url(database);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let rows = runtime.block_on(async {
            let (client, driver) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL");
            tokio::spawn(driver);
            client.query(sql, &[]).await.expect("query")
        });
        rows.first().map_or(Vec::new(), |row| (0..row.len()).map(|column| row.get(column)).collect())
    }
}

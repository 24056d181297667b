//! What an operator can set, read from all its sources and checked as a whole at start.
//!
//! `config/default.toml` explains every key, and the order: defaults < file < environment < flags.

mod catalogue;
mod checks;
mod layers;
mod service_url;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use layers::{Layers, Origin, variable_of};

use crate::domain::Catalogue;
use checks::Checks;
pub use service_url::ServiceUrl;

/// Everything that can be set, well-formed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// First part of Redis keys and queue names.
    pub prefix: String,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Embedded, or the three services.
    pub mode: Mode,
    /// What is logged, and how.
    pub log: Log,
    /// The JSON API.
    pub api: Api,
    /// Where the pages are served.
    pub web_addr: SocketAddr,
    /// Where the control room is served, if anywhere.
    pub control_addr: Option<SocketAddr>,
    /// The name under which it is reached, beside addresses and `localhost`.
    pub control_host: String,
    /// Where a worker tells its health, if anywhere.
    pub work_health_addr: Option<SocketAddr>,
    /// Connections to Redis.
    pub redis: Redis,
    /// Connections to RabbitMQ.
    pub broker: Broker,
    /// Age from which outbox entries are sent again.
    pub sweep_after: Duration,
    /// How often admission is compared with the ledger, purchase by purchase.
    pub reconcile_interval: Duration,
    /// How a worker batches.
    pub worker: Worker,
    /// Connections to PostgreSQL.
    pub ledger: Ledger,
    /// Variables that begin like ours and have no meaning: perhaps misspelt.
    pub unknown_variables: Vec<String>,
}

/// The two ways to run.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Everything in one process, with its database in this directory.
    Embedded {
        /// Where the database is.
        data_dir: PathBuf,
    },
    /// Separate processes on three services.
    Distributed(Services),
}

/// Where the services are.
#[derive(Clone, Debug)]
pub struct Services {
    /// PostgreSQL.
    pub database: ServiceUrl,
    /// Redis.
    pub redis: ServiceUrl,
    /// RabbitMQ.
    pub amqp: ServiceUrl,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// In the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// JSON rather than text.
    pub json: bool,
}

/// `[api]`
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Connections at a time.
    pub connections_max: usize,
    /// For the head of a request.
    pub head_timeout: Duration,
    /// For its body.
    pub body_timeout: Duration,
    /// Whether clients on this machine may read the evidence of an audit.
    pub audit_route: bool,
}

/// `[redis]`
#[derive(Clone, Debug)]
pub struct Redis {
    /// Shared connections, beside the one that each thread of a server has of its own.
    pub connections: usize,
    /// Purchase attempts with Redis at a time.
    pub in_flight_max: usize,
    /// Most connections for the rest.
    pub pool_size: usize,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer.
    pub response_timeout: Duration,
}

/// `[broker]`
#[derive(Clone, Debug)]
pub struct Broker {
    /// How long an answer waits for the confirm.
    pub confirm_timeout: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a confirm.
    pub publish_timeout: Duration,
    /// Seconds between heartbeats.
    pub heartbeat_s: u16,
    /// Messages that a worker may hold.
    pub prefetch_messages: u16,
}

/// `[worker]`
#[derive(Clone, Debug)]
pub struct Worker {
    /// Batches at a time, each with a consumer of its own.
    pub lanes: usize,
    /// Purchases in one transaction.
    pub batch_items_max: usize,
    /// How long a transaction waits to fill.
    pub linger: Duration,
}

/// `[ledger]`
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Most connections.
    pub pool_size: usize,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest statement.
    pub statement_timeout: Duration,
    /// Longest wait for a lock.
    pub lock_timeout: Duration,
}

/// Everything that is wrong with the configuration, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} error{}:\n  - {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("\n  - "))]
pub struct ConfigError(pub Vec<String>);

impl Settings {
    /// Reads and checks all settings. The error lists everything that is wrong, not only the first.
    pub fn load(layers: Layers) -> Result<Self, ConfigError> {
        let mut checks = Checks::new(layers);
        let settings = Self {
            unknown_variables: checks.unknown_variables(),
            prefix: checks.prefix("prefix"),
            mode: mode(&mut checks),
            log: Log {
                filter: checks.log_filter("log.filter"),
                json: checks.one_of("log.format", &["text", "json"]) == "json",
            },
            api: Api {
                addr: checks.addr("api.addr"),
                connections_max: checks.integer("api.connections_max", 1..=1_000_000),
                head_timeout: checks.millis("api.head_timeout_ms", 100..=600_000),
                body_timeout: checks.millis("api.body_timeout_ms", 100..=600_000),
                audit_route: checks.one_of("api.audit_route", &["off", "on"]) == "on",
            },
            web_addr: checks.addr("web.addr"),
            control_addr: checks.optional_addr("control.addr"),
            control_host: checks.host_name("control.host"),
            work_health_addr: checks.optional_addr("work.health_addr"),
            redis: Redis {
                connections: checks.integer("redis.connections", 1..=64),
                in_flight_max: checks.integer("redis.in_flight_max", 1..=1_000_000),
                pool_size: checks.integer("redis.pool_size", 1..=1_000),
                connect_timeout: checks.millis("redis.connect_timeout_ms", 10..=60_000),
                response_timeout: checks.millis("redis.response_timeout_ms", 10..=60_000),
            },
            broker: Broker {
                confirm_timeout: checks.millis("broker.confirm_timeout_ms", 1..=60_000),
                connect_timeout: checks.millis("broker.connect_timeout_ms", 10..=60_000),
                publish_timeout: checks.millis("broker.publish_timeout_ms", 10..=600_000),
                heartbeat_s: checks.integer("broker.heartbeat_s", 1..=600),
                prefetch_messages: checks.integer("broker.prefetch_messages", 1..=65_535),
            },
            sweep_after: checks.millis("outbox.sweep_after_ms", 100..=3_600_000),
            reconcile_interval: Duration::from_secs(
                checks.integer("recovery.reconcile_interval_s", 1..=86_400),
            ),
            worker: Worker {
                lanes: checks.integer("worker.lanes", 1..=64),
                batch_items_max: checks.integer("worker.batch_items_max", 1..=10_000),
                linger: checks.millis("worker.linger_ms", 0..=10_000),
            },
            ledger: Ledger {
                pool_size: checks.integer("ledger.pool_size", 1..=1_000),
                connect_timeout: checks.millis("ledger.connect_timeout_ms", 10..=60_000),
                statement_timeout: checks.millis("ledger.statement_timeout_ms", 100..=600_000),
                lock_timeout: checks.millis("ledger.lock_timeout_ms", 100..=600_000),
            },
            // Last, because without products there are no settings to go on with.
            catalogue: catalogue::load(&mut checks)?,
        };
        checks.finish(settings)
    }
}

fn mode(checks: &mut Checks) -> Mode {
    let urls = [
        ("database_url", checks.url("database_url", &["postgres", "postgresql"])),
        ("redis_url", checks.url("redis_url", &["redis"])),
        ("amqp_url", checks.url("amqp_url", &["amqp"])),
    ];
    let missing: Vec<_> =
        urls.iter().filter(|(_, url)| url.is_none()).map(|(key, _)| variable_of(key)).collect();
    let [(_, database), (_, redis), (_, amqp)] = urls;
    if let (Some(database), Some(redis), Some(amqp)) = (database, redis, amqp) {
        return Mode::Distributed(Services { database, redis, amqp });
    }
    if missing.len() < 3 {
        checks.error(format!(
            "{} not set: set all of DATABASE_URL, REDIS_URL and AMQP_URL, or none to run embedded",
            missing.join(" and ")
        ));
    }
    Mode::Embedded { data_dir: checks.text("data_dir").into() }
}

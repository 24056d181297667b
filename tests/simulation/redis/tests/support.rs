//! A clock that a test sets, and a real server beside the simulated one.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{RedisResult, Value};

use crate::redis::cluster::SimRedis;

#[path = "../../../support/servers"]
mod servers {
    pub(super) mod redis;
    pub(super) mod server;
}

pub(super) const START_MILLIS: u64 = 1_795_650_000_000;

/// Milliseconds since the Unix epoch.
#[derive(Clone)]
pub(super) struct Time(Arc<AtomicU64>);

impl Time {
    pub(super) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

pub(super) fn simulated() -> (SimRedis, Time) {
    let time = Time(Arc::new(AtomicU64::new(START_MILLIS)));
    let now = time.clone();
    (SimRedis::new(Arc::new(move || Duration::from_millis(now.0.load(Ordering::Relaxed))), 7), time)
}

/// The seed of a random test: `SIMULATION_SEED`, or another one each time. A failing test prints it.
pub(super) fn random() -> fastrand::Rng {
    let seed =
        std::env::var("SIMULATION_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SIMULATION_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A private redis-server, or none where the program is not installed (`scripts/test` installs it).
pub(super) fn real() -> Option<Real> {
    if Command::new("redis-server").arg("--version").output().is_err() {
        eprintln!("skipped: redis-server is not installed; scripts/test installs it");
        return None;
    }
    let server = servers::redis::redis_with(&["--appendonly", "no"]);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let connection = client.get_connection().unwrap();
    Some(Real { connection, _server: server })
}

pub(super) struct Real {
    connection: redis::Connection,
    _server: servers::server::Server,
}

impl Real {
    pub(super) fn run(&mut self, words: &[&str]) -> RedisResult<Value> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.connection)
    }
}

/// A reply as text; errors as the driver shows them, without the place in a script.
pub(super) fn shown(reply: RedisResult<Value>) -> String {
    match reply {
        Ok(value) => format_value(&value),
        Err(error) => error.to_string().split(" script: ").next().unwrap().to_owned(),
    }
}

fn format_value(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(format_value).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

pub(super) fn text(reply: RedisResult<Value>) -> String {
    redis::from_redis_value(reply.unwrap()).unwrap()
}

/// A line of INFO.
pub(super) fn info(redis: &SimRedis, server: usize, name: &str) -> String {
    line(&text(redis.run(server, &["INFO"])), name)
}

fn line(info: &str, name: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("a line of INFO").to_owned()
}

/// A server's identity, as admission knows it, from its INFO.
pub(super) fn identity(info: &str) -> String {
    format!("{} {}", line(info, "run_id"), line(info, "master_replid"))
}

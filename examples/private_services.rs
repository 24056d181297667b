//! Runs a command with a private Redis, RabbitMQ and PostgreSQL, which end with it:
//!
//! `cargo run --example private_services -- COMMAND [ARGUMENT …]`
//!
//! The command finds them in `DATABASE_URL`, `REDIS_URL` and `AMQP_URL` (for flashsale itself), and under the
//! same names with `TEST_` before them (for the tests). `FLASHSALE_PRODUCTS` is the demo catalogue, unless
//! it is set.

#![allow(clippy::expect_used, reason = "a tool for tests fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "deadlines of real servers")]

#[path = "../tests/support/servers"]
mod servers {
    pub(crate) mod postgres;
    pub(crate) mod rabbitmq;
    pub(crate) mod redis;
    mod server;
}

use std::process::ExitCode;

use servers::{postgres::postgres_with, rabbitmq::rabbitmq, redis::redis_with};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let mut command = std::env::args_os().skip(1);
    let Some(program) = command.next() else {
        eprintln!("usage: private_services COMMAND [ARGUMENT …]");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // From here on a signal ends the command, and with it, in order, the servers.
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        let interrupt = signal(SignalKind::interrupt()).expect("SIGINT");
        (interrupt, signal(SignalKind::terminate()).expect("SIGTERM"))
    });
    // Should one fail to start, the others are waited for, and end.
    let (redis, postgres, rabbit) = std::thread::scope(|scope| {
        let (redis, postgres) = (scope.spawn(|| redis_with(&[])), scope.spawn(|| postgres_with(&[])));
        let rabbit = rabbitmq();
        (redis.join().expect("Redis"), postgres.join().expect("PostgreSQL"), rabbit)
    });
    let urls = [
        ("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port)),
        ("REDIS_URL", format!("redis://127.0.0.1:{}", redis.port)),
        ("AMQP_URL", format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port)),
    ];
    let mut running = tokio::process::Command::new(program);
    running.args(command).kill_on_drop(true);
    if std::env::var_os("FLASHSALE_PRODUCTS").is_none() {
        running.env("FLASHSALE_PRODUCTS", concat!(env!("CARGO_MANIFEST_DIR"), "/config/products.toml"));
    }
    for (name, url) in urls {
        running.env(name, &url).env(format!("TEST_{name}"), url);
    }
    runtime.block_on(async {
        let status = tokio::select! {
            status = running.status() => status,
            _ = interrupt.recv() => return ExitCode::FAILURE,
            _ = terminate.recv() => return ExitCode::FAILURE,
        };
        match status {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("the command can't be run: {error}");
                ExitCode::FAILURE
            }
        }
    })
}

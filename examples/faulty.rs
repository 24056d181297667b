//! `flashsale` with a mistake built in, for showing that the audit finds it: `FLASHSALE_MUTANT=ack-before-commit`.
//! The mistakes are decorators of the stores; none of them is in the program itself.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a program for tests")]

#[path = "../tests/support/mutants/mod.rs"]
mod mutants;

use std::{env, process::ExitCode, sync::Arc};

use clap::Parser;
use flashsale::{
    admission::Scripts,
    commands::{
        Cli, Wiring, run,
        settings::{Mode, Settings},
    },
    stores::Stores,
};
use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::sync::OnceCell;

use mutants::Mutant;

fn main() -> ExitCode {
    run(Cli::parse(), Wiring { scripts, stores })
}

fn mutant() -> Mutant {
    let wanted = env::var("FLASHSALE_MUTANT").expect("FLASHSALE_MUTANT names the mistake");
    Mutant::ALL.into_iter().find(|mutant| mutant.name() == wanted).expect("a known mistake")
}

fn scripts() -> Scripts {
    mutant().scripts()
}

fn stores(stores: Stores, settings: &Settings) -> Stores {
    let Mode::Distributed(services) = &settings.mode else { return stores };
    let client = redis::Client::open(services.redis.url.expose()).expect("a URL");
    let connection = LazyConnection { client, connected: Arc::default() };
    mutant().apply(stores, connection, &settings.prefix)
}

/// A connection that is made when it is first used.
#[derive(Clone)]
struct LazyConnection {
    client: redis::Client,
    connected: Arc<OnceCell<MultiplexedConnection>>,
}

impl LazyConnection {
    async fn connected(&self) -> redis::RedisResult<MultiplexedConnection> {
        let connect = || self.client.get_multiplexed_async_connection();
        Ok(self.connected.get_or_try_init(connect).await?.clone())
    }
}

impl ConnectionLike for LazyConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { self.connected().await?.req_packed_command(cmd).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { self.connected().await?.req_packed_commands(cmd, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

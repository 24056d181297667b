//! The command line: one file a command. Only here are parts connected to each other and to
//! services.

#![allow(
    clippy::doc_markdown,
    reason = "these doc comments are the --help texts, where backticks would show"
)]

mod audit;
mod data_dir;
mod dead_letters;
mod descriptors;
mod distributed;
mod healthcheck;
mod ledger;
mod migrate;
mod overrides;
mod pause;
mod preparation;
mod process;
mod products;
mod purchases;
mod reconcile;
mod serve;
mod servers;
pub mod settings;
mod started;
mod stores;
mod stress;
mod target;
mod topology;
mod web;
mod wiring;
mod work;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::runtime::{error_chain, output, shutdown, tasks::log_panics};
use overrides::Overrides;
pub use wiring::Wiring;

const ABOUT: &str =
    "Limited-stock sales: nobody buys twice, nothing is oversold, and every SUCCESS is in the \
                     database.

Without services it runs embedded: `flashsale serve` is the whole system in one process, on SQLite. With \
                     DATABASE_URL, REDIS_URL and AMQP_URL set it runs distributed: any number of `serve`, \
                     `work` and `web` side by side.";

const EXAMPLES: &str = "Examples:
  flashsale serve                                  everything in one process; shop on :3000, API on :3001
  flashsale --products sale.toml serve             with your own catalogue
  flashsale --set broker.confirm_timeout_ms=500 serve
  FLASHSALE_API_ADDR=0.0.0.0:3001 flashsale serve  any key, as a variable

All keys, their defaults and their variables: config/default.toml.";

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(name = "flashsale", version, about = "Limited-stock sales", long_about = ABOUT,
          after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Work(work::Work),
    Web(web::Web),
    Migrate(migrate::Migrate),
    Topology(topology::DeclareTopology),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Products(products::Products),
    Purchases(purchases::Purchases),
    Audit(audit::Audit),
    DeadLetters(dead_letters::DeadLetters),
    Reconcile(reconcile::Reconcile),
    Stress(Box<stress::Stress>),
    Healthcheck(healthcheck::Healthcheck),
}

/// Runs the command to its end, on stores that `wiring` may have changed.
pub fn run(cli: Cli, wiring: Wiring) -> ExitCode {
    log_panics();
    let code = run_command(cli, wiring).unwrap_or_else(|error| {
        output::note(format_args!("flashsale: {}", error_chain(error.as_ref())));
        ExitCode::FAILURE
    });
    output::flush();
    code
}

fn run_command(cli: Cli, wiring: Wiring) -> anyhow::Result<ExitCode> {
    let Cli { overrides, command } = cli;
    let overrides = Overrides { wiring, ..overrides };
    crate::runtime::crash_points::arm()?;
    // The parser keeps only the later group of them.
    let given = std::env::args_os().filter(|word| word.as_encoded_bytes().starts_with(b"--set")).count();
    anyhow::ensure!(given == overrides.set.len(), "give all --set either before the command or all after it");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let ended = runtime.block_on(shutdown::graceful(async |shutdown| {
        let stop = shutdown.signalled.clone();
        match command {
            Command::Serve(command) => command.run(&overrides, shutdown).await?,
            Command::Work(command) => command.run(&overrides, stop).await?,
            Command::Web(command) => command.run(&overrides, shutdown).await?,
            Command::Migrate(command) => command.run(&overrides, stop).await?,
            Command::Topology(command) => command.run(&overrides).await?,
            Command::Pause(command) => command.run(&overrides).await?,
            Command::Resume(command) => command.run(&overrides).await?,
            Command::Products(command) => return Ok(command.run(&overrides, stop).await),
            Command::Audit(command) => return Ok(command.run(&overrides).await),
            Command::Stress(command) => return Ok(command.run(&overrides, stop).await),
            Command::Reconcile(command) => return Ok(command.run(&overrides).await),
            Command::DeadLetters(command) => command.run(&overrides).await?,
            Command::Purchases(command) => command.run(&overrides).await?,
            Command::Healthcheck(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }));
    // Everything that matters is done. Tearing the runtime down would wait for connections that
    // hang, and make the broker's driver panic in a thread of its own; the end of the process is
    // cleaner.
    std::mem::forget(runtime);
    ended
}

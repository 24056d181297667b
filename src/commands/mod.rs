//! The command line: one file a command. Only here are parts connected to each other and to services.

#![allow(
    clippy::doc_markdown,
    reason = "these doc comments are the --help texts, where backticks would show"
)]

mod audit;
mod data_dir;
mod dead_letters;
mod healthcheck;
mod migrate;
mod pause;
mod reconcile;
mod serve;
mod servers;
pub mod settings;
mod stores;
mod stress;
mod web;
mod wiring;
mod work;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::config::{FILE_VARIABLE, Layers};
use crate::domain::ProductId;
use crate::operations::Actor;
use crate::runtime::shutdown;
use settings::Settings;
pub use wiring::Wiring;

const ABOUT: &str =
    "Limited-stock drops: nobody buys twice, nothing is oversold, and every SUCCESS is in the \
                     database.

Without services it runs embedded: `flashsale serve` is the whole system in one process, on SQLite. With \
                     DATABASE_URL, REDIS_URL and AMQP_URL set it runs distributed: any number of `serve`, \
                     `work` and `web` side by side.";

const EXAMPLES: &str = "Examples:
  flashsale serve                                  everything in one process; shop on :3000, API on :3001
  flashsale --products drop.toml serve             with your own catalogue
  flashsale --set broker.confirm_timeout_ms=500 serve
  FLASHSALE_API_ADDR=0.0.0.0:3001 flashsale serve  any key, as a variable

All keys, their defaults and their variables: config/default.toml.";

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(name = "flashsale", version, about = "Limited-stock drops", long_about = ABOUT,
          after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Command,
}

/// Settings that every command takes. They win over the environment, which wins over the file.
#[derive(Debug, Args)]
struct Overrides {
    /// Configuration file (or FLASHSALE_CONFIG); only the keys that differ from config/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Catalogue file (or FLASHSALE_PRODUCTS); without it, one demo product
    #[arg(long, global = true, value_name = "FILE")]
    products: Option<String>,
    /// First part of Redis keys and queue names (or FLASHSALE_PREFIX) [default: flashsale]
    #[arg(long, global = true)]
    prefix: Option<String>,
    /// Where the embedded mode keeps its database (or FLASHSALE_DATA_DIR) [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Any key of config/default.toml, such as broker.confirm_timeout_ms=500; can be repeated, in one place
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    #[arg(skip)]
    wiring: Wiring,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Work(work::Work),
    Web(web::Web),
    Migrate(migrate::Migrate),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Audit(audit::Audit),
    DeadLetters(dead_letters::DeadLetters),
    Reconcile(reconcile::Reconcile),
    Stress(Box<stress::Stress>),
    Healthcheck(healthcheck::Healthcheck),
}

#[derive(Debug, Args)]
struct ProductFlag {
    /// The product; without it, the first of the catalogue
    #[arg(long, value_name = "ID")]
    product: Option<String>,
}

impl ProductFlag {
    fn product(&self, settings: &Settings) -> anyhow::Result<ProductId> {
        match &self.product {
            Some(id) => Ok(ProductId::parse(id)?),
            None => settings.catalogue.first().map(|product| product.id.clone()).context("no product"),
        }
    }
}

/// The operating-system user.
fn actor() -> Actor {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    Actor::named(name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw())))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Overrides {
    /// Reads the settings, with the command's own flags on top.
    fn settings(&self, own: &[(&str, Option<&String>)]) -> anyhow::Result<Settings> {
        let named = [
            ("products", self.products.as_ref()),
            ("prefix", self.prefix.as_ref()),
            ("data_dir", self.data_dir.as_ref()),
        ];
        let flags = named.iter().chain(own);
        let flags = flags.filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.clone())));
        let flags: Vec<_> = self.set.iter().cloned().chain(flags).collect();
        let file = self.config.clone().or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from));
        let file = file.filter(|path| !path.as_os_str().is_empty());
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())));
        let settings = Layers::read(file.as_deref(), variables, &flags).and_then(Settings::load)?;
        crate::observability::start_log(&settings.log)?;
        for name in &settings.unknown_variables {
            tracing::warn!("the environment variable {name} has no meaning here; is it misspelt?");
        }
        Ok(settings)
    }
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    run_with(cli, Wiring::default())
}

/// Runs the command to its end, on stores that `wiring` has changed.
pub fn run_with(cli: Cli, wiring: Wiring) -> anyhow::Result<ExitCode> {
    let Cli { overrides, command } = cli;
    let overrides = Overrides { wiring, ..overrides };
    crate::runtime::crash_points::arm()?;
    // The parser keeps only the later group of them.
    let given = std::env::args_os().filter(|word| word.as_encoded_bytes().starts_with(b"--set")).count();
    anyhow::ensure!(given == overrides.set.len(), "give all --set either before the command or all after it");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let ended = runtime.block_on(shutdown::graceful(async |stop| {
        match command {
            Command::Serve(command) => command.run(&overrides, stop).await?,
            Command::Work(command) => command.run(&overrides, stop).await?,
            Command::Web(command) => command.run(&overrides, stop).await?,
            Command::Migrate(command) => command.run(&overrides, stop).await?,
            Command::Pause(command) => command.run(&overrides).await?,
            Command::Resume(command) => command.run(&overrides).await?,
            Command::Audit(command) => return Ok(command.run(&overrides).await),
            Command::Stress(command) => return Ok(command.run(stop).await),
            Command::Reconcile(command) => return Ok(command.run(&overrides).await),
            Command::DeadLetters(command) => command.run(&overrides).await?,
            Command::Healthcheck(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }));
    // Everything that matters is done. Tearing the runtime down would wait for connections that hang, and make the
    // broker's driver panic in a thread of its own; the end of the process is cleaner.
    std::mem::forget(runtime);
    ended
}

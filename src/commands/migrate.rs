//! `flashsale migrate`

use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::settings::{Mode, Settings};
use super::{data_dir::DataDir, overrides::Overrides, preparation::Preparation};
use crate::ledger::{Ledger, PostgresLedger};
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// Apply pending migrations, add new products, and exit
///
/// Needs DATABASE_URL (and the other two, to tell the modes apart); without services it prepares
/// the embedded database. `serve` and `work` do the same when they start; this command is for
/// deployments that migrate in a separate step. Waits for the database.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale --products sale.toml migrate")]
pub(super) struct Migrate {
    /// Give the system the configured prefix in place of its present one. First let everything be
    /// recorded (`flashsale audit` shows nothing in flight) and end all its processes: what Redis
    /// and the queue hold under the present prefix is left behind
    #[arg(long)]
    change_prefix: bool,
}

impl Migrate {
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> anyhow::Result<()> {
        let settings = overrides.settings(&[])?;
        let _lock = match &settings.mode {
            Mode::Embedded { data_dir } => Some(DataDir::lock(data_dir)?),
            Mode::Distributed(_) => None,
        };
        let ledger = open_ledger(&settings, "migrate").await?;
        let runtime = Runtime::system();
        let state = Dependency::new(ledger.name(), &runtime.clock);
        if self.change_prefix {
            ledger.change_prefix(&settings.prefix).await?;
            tracing::warn!("the system has the prefix {:?} now", settings.prefix);
        }
        let (ledger, settings, runtime) = (&*ledger, &settings, &runtime);
        let preparation = Preparation { ledger, settings, state: &state, runtime, stop: &stop };
        let system = preparation.prepare().await?;
        anyhow::ensure!(system.is_some(), "stopped before the database was ready");
        let products = ledger.products().await?;
        tracing::info!("the ledger is up to date, with {} product(s)", products.len());
        Ok(())
    }
}

/// Opens the ledger without the other stores.
pub(super) async fn open_ledger(settings: &Settings, role: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    Ok(match &settings.mode {
        Mode::Embedded { data_dir } => Arc::new(DataDir::open_database(data_dir).await?),
        Mode::Distributed(services) => Arc::new(PostgresLedger::new(services.postgres.of_command(role))?),
    })
}

/// Opens the ledger for an operator's command, which makes no database.
pub(super) async fn open_existing_ledger(settings: &Settings, role: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    if let Mode::Embedded { data_dir } = &settings.mode {
        DataDir::ensure_database(data_dir)?;
    }
    open_ledger(settings, role).await
}

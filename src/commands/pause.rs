//! `flashsale pause` and `flashsale resume`

use anyhow::{bail, ensure};
use clap::Args;

use super::{Overrides, Which, data_dir::DataDir, migrate::open_ledger};
use crate::config::Mode;

/// Pause a sale: attempts are answered PAUSED from then on
///
/// Takes effect within a second while a `work` (or the embedded `serve`) is up, and holds until `flashsale resume`,
/// across restarts and rebuilds too. Needs
/// DATABASE_URL (and the other two), or the data directory of the embedded mode.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale pause --product limited-001")]
pub(super) struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Resume a paused sale
///
/// Takes effect within a second. See `flashsale pause`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale resume --product limited-001")]
pub(super) struct Resume {
    #[command(flatten)]
    which: Which,
}

impl Pause {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        set_paused(overrides, self.which, true).await
    }
}

impl Resume {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        set_paused(overrides, self.which, false).await
    }
}

async fn set_paused(overrides: &Overrides, which: Which, paused: bool) -> anyhow::Result<()> {
    let settings = overrides.settings(&[])?;
    let product = which.product(&settings)?;
    if let Mode::Embedded { data_dir } = &settings.mode {
        let database = DataDir::database(data_dir);
        ensure!(database.exists(), "there is no {}: has `flashsale serve` run here?", database.display());
    }
    let ledger = open_ledger(&settings, "pause").await?;
    if !ledger.set_paused(&product, paused).await? {
        bail!("there is no product {product} in the ledger");
    }
    tracing::info!("{product} is {}", if paused { "paused" } else { "resumed" });
    Ok(())
}

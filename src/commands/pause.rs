//! `flashsale pause` and `flashsale resume`

use std::sync::Arc;

use clap::Args;

use super::{
    ledger::open_own_ledger,
    overrides::Overrides,
    target::{ProductFlag, actor},
};
use crate::domain::ProductId;
use crate::ledger::Ledger;
use crate::operations;

/// Pause a sale: attempts are answered PAUSED from then on
///
/// Takes effect within a second while a `work` (or the embedded `serve`) runs, and holds until
/// `flashsale resume`, across restarts and rebuilds. Needs DATABASE_URL (and the other two), or the
/// data directory of the embedded mode.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale pause --product limited-001")]
pub(super) struct Pause {
    #[command(flatten)]
    product: ProductFlag,
}

/// Resume a paused sale
///
/// Takes effect within a second. See `flashsale pause`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale resume --product limited-001")]
pub(super) struct Resume {
    #[command(flatten)]
    product: ProductFlag,
}

impl Pause {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let (ledger, product) = open(overrides, &self.product).await?;
        Ok(operations::pause(&actor(), &*ledger, &product).await?)
    }
}

impl Resume {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let (ledger, product) = open(overrides, &self.product).await?;
        Ok(operations::resume(&actor(), &*ledger, &product).await?)
    }
}

async fn open(overrides: &Overrides, flag: &ProductFlag) -> anyhow::Result<(Arc<dyn Ledger>, ProductId)> {
    let settings = overrides.settings()?;
    let ledger = open_own_ledger(&settings, "pause").await?;
    let product = flag.product(&*ledger).await?;
    Ok((ledger, product))
}

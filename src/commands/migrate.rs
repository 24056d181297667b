//! `flashsale migrate`

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::settings::{Mode, Purpose};
use super::{data_dir::DataDir, ledger::open_ledger, overrides::Overrides, preparation::Preparation};
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// Apply pending migrations, add new products, and exit
///
/// `serve` and `work` do the same when they start; this command is for deployments that migrate in
/// a separate step. It waits for the database, and fails if the database belongs to a system with
/// another prefix. Known products keep their terms: `flashsale products apply` changes them. In the
/// embedded mode the catalogue file is applied, as at a start of `serve`. Needs DATABASE_URL,
/// REDIS_URL and AMQP_URL, and connects to the first alone; without services it prepares the
/// embedded database, which no `serve` may be using: `flashsale products apply` changes products
/// beside a running one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale --products sale.toml migrate
  flashsale --prefix spring migrate --change-prefix")]
pub(super) struct Migrate {
    /// Give the system the configured prefix in place of its present one. First let everything be
    /// recorded (`flashsale audit` shows nothing in flight) and end all its processes: what Redis
    /// and the queue hold under the present prefix is left behind. Refused while a `serve`, `work`
    /// or `web` is connected to the database
    #[arg(long)]
    change_prefix: bool,
}

impl Migrate {
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> anyhow::Result<()> {
        let settings = overrides.settings_for(Purpose::Products, &[])?;
        let _lock = match &settings.mode {
            Mode::Embedded { data_dir } => Some(DataDir::lock(data_dir)?),
            Mode::Distributed(_) => None,
        };
        let ledger = open_ledger(&settings, "migrate").await?;
        let runtime = Runtime::system();
        let state = Dependency::new(ledger.name(), &runtime.clock);
        if self.change_prefix {
            ledger.change_prefix(&settings.prefix).await?;
            tracing::warn!("the system has the prefix {} now", settings.prefix);
        }
        let (ledger, settings, runtime) = (&*ledger, &settings, &runtime);
        let preparation = Preparation { ledger, settings, state: &state, runtime, stop: &stop };
        let system = preparation.prepare().await?;
        anyhow::ensure!(system.is_some(), "stopped before the database was ready");
        let products = ledger.products().await?;
        tracing::info!("the ledger is up to date, with {} product(s)", products.len());
        if products.is_empty() {
            tracing::warn!("there is nothing to sell yet: add products with `flashsale products apply FILE`");
        }
        Ok(())
    }
}

//! `flashsale audit`

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;

use super::{
    data_dir::DataDir,
    overrides::Overrides,
    settings::Mode,
    stores,
    target::{ProductFlag, actor},
};
use crate::audit::{AuditResult, History};
use crate::domain::ProductId;
use crate::operations;
use crate::runtime::{FileError, Runtime, error_chain, output};

/// Check that what the stores hold is what was promised
///
/// Waits until no purchase is in flight, then reads ledger, Redis and queues, and compares them
/// with each other, and with the history of a run if one is given. Shows the conservation law with
/// its numbers, each check, and the first counter-examples. Exits with 0 (holds), 1 (violated) or 2
/// (no result: a store can't be read, purchases are still in flight, or the history exercised too
/// little). In the embedded mode, while `serve` runs, only the ledger can be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale audit
  flashsale audit --product limited-001 --history run.jsonl --json")]
pub(super) struct Audit {
    #[command(flatten)]
    product: ProductFlag,
    /// The history of a run, one JSON object per line (flashsale stress --history writes it)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many seconds to wait until no purchase is in flight
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

impl Audit {
    pub(super) async fn run(self, overrides: &Overrides) -> ExitCode {
        match self.audit(overrides).await {
            Ok(AuditResult::Holds) => ExitCode::SUCCESS,
            Ok(AuditResult::Violated) => ExitCode::from(1),
            Ok(AuditResult::Unknown) => ExitCode::from(2),
            Err(error) => {
                output::note(format_args!("flashsale: no result: {}", error_chain(error.as_ref())));
                ExitCode::from(2)
            }
        }
    }

    async fn audit(self, overrides: &Overrides) -> anyhow::Result<AuditResult> {
        let settings = overrides.settings()?;
        // Admission is in the memory of `serve`, and made from the ledger at its start.
        let unread = match &settings.mode {
            Mode::Embedded { data_dir } if DataDir::is_in_use(data_dir) => Some("serve is running"),
            Mode::Embedded { .. } => Some("serve is not running"),
            Mode::Distributed(_) => None,
        };
        let sources = stores::sources(&settings, "audit").await?;
        let product = self.product.product(&*sources.ledger).await?;
        let history = self.read_history(&product)?;
        let timeout = Duration::from_secs(self.wait);
        let (actor, runtime, history) = (actor(), Runtime::system(), history.as_ref());
        let mut report = operations::audit(&actor, &sources, &product, history, timeout, &runtime).await?;
        if unread.is_some() {
            report.unread = unread;
        }
        if self.json {
            output::print(serde_json::to_string_pretty(&report)?).await;
        } else {
            output::print(format_args!("{product}: {report}")).await;
        }
        Ok(report.verdict)
    }

    fn read_history(&self, product: &ProductId) -> anyhow::Result<Option<History>> {
        let Some(path) = &self.history else { return Ok(None) };
        let file = File::open(path).map_err(FileError::of("open the history", path))?;
        let history = History::read(BufReader::new(file), product.as_str());
        Ok(Some(history.with_context(|| path.display().to_string())?))
    }
}

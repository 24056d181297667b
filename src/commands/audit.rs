//! `flashsale audit`

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;

use super::{Overrides, Which, stores};
use crate::audit::{History, Verdict, audit};

/// Check that what the stores hold is what was promised
///
/// Waits until nothing is on its way, then reads ledger, Redis and queues, and compares them with each other, and with
/// what clients saw if a history is given. Shows the conservation law with its numbers, each check, and the first
/// counter-examples. Ends with 0 (holds), 1 (violated) or 2 (could not tell: something can't be read, purchases are
/// still on their way, or the history exercised too little). In the embedded mode, while `serve` runs, only the
/// ledger can be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale audit
  flashsale audit --product limited-001 --history run.jsonl --json")]
pub(super) struct Audit {
    #[command(flatten)]
    which: Which,
    /// What clients saw, a JSON object a line (flashsale stress --history writes it)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many seconds to wait until nothing is on its way
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

impl Audit {
    /// What can't be read is "could not tell", whatever the reason.
    pub(super) async fn run(self, overrides: &Overrides) -> ExitCode {
        match self.verdict(overrides).await {
            Ok(Verdict::Holds) => ExitCode::SUCCESS,
            Ok(Verdict::Violated) => ExitCode::from(1),
            Ok(Verdict::Unknown) => ExitCode::from(2),
            Err(error) => {
                eprintln!("flashsale: could not tell: {error:#}");
                ExitCode::from(2)
            }
        }
    }

    async fn verdict(self, overrides: &Overrides) -> anyhow::Result<Verdict> {
        let settings = overrides.settings(&[])?;
        let product = self.which.product(&settings)?;
        let history = self.history.as_ref().map(|path| {
            let shown = path.display();
            let file = File::open(path).with_context(|| format!("can't open {shown}"))?;
            History::read(BufReader::new(file), product.as_str()).with_context(|| shown.to_string())
        });
        let history = history.transpose()?;
        let sources = stores::sources(&settings, "audit").await?;
        sources.settle(&product, Duration::from_secs(self.wait)).await?;
        let report = audit(&sources.gather(&product).await?, history.as_ref());
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{product}: {report}");
        }
        Ok(report.verdict)
    }
}

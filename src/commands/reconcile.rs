//! `flashsale reconcile`

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{Overrides, Which, stores};
use crate::audit::Difference;
use crate::recovery::{Comparison, compare, repair};
use crate::runtime::Runtime;
use crate::stores::Stores;

/// Compare Redis, outbox and queue with the ledger, purchase by purchase, and mend what differs
///
/// Shows every difference with its cause and what would mend it. With --fix it does that: entries of recorded
/// purchases are deleted, purchases that were lost on the way are sent again, and everything else is mended by a
/// rebuild from the ledger (attempts are answered 503 for about two seconds). Ends with 0 (no difference, or all
/// mended), 1 (differences) or 2 (could not tell). `work` compares by itself every few minutes and says at /readyz
/// and in its log what it found. Needs DATABASE_URL, REDIS_URL and AMQP_URL.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale reconcile
  flashsale reconcile --product limited-001 --fix")]
pub(super) struct Reconcile {
    #[command(flatten)]
    which: Which,
    /// Mend what differs
    #[arg(long)]
    fix: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    pub(super) async fn run(self, overrides: &Overrides) -> ExitCode {
        match self.reconcile(overrides).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) => {
                eprintln!("flashsale: could not tell: {error:#}");
                ExitCode::from(2)
            }
        }
    }

    /// Whether there is nothing left that differs.
    async fn reconcile(self, overrides: &Overrides) -> anyhow::Result<bool> {
        let settings = overrides.settings(&[])?;
        let product = self.which.product(&settings)?;
        let sources = stores::sources(&settings, "reconcile").await?;
        let (Some(admission), Some(broker)) = (sources.admission, sources.broker) else {
            bail!(
                "the embedded mode has nothing to reconcile: its admission is made from its ledger at every start"
            );
        };
        let stores = Stores { admission, broker, ledger: sources.ledger };
        let comparison = compare(&stores, &product, &Runtime::system()).await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&comparison)?);
        } else {
            print(&comparison);
        }
        let differences = comparison.differences;
        if !self.fix || differences.is_empty() {
            return Ok(differences.is_empty());
        }
        let repairs = repair(&stores, &product, &differences).await?;
        if !self.json {
            println!("repairs: {}", repairs.made);
        }
        Ok(repairs.left == 0)
    }
}

fn print(comparison: &Comparison) {
    let Comparison { law, queued, differences } = comparison;
    println!("{law}");
    if let Some(queued) = queued {
        println!("messages in the queue, of all products: {queued}");
    }
    for Difference { kind, user, detail, repair } in differences {
        println!("{}: {detail}", user.as_deref().unwrap_or("the sale"));
        println!("    cause:  {}", kind.cause());
        println!("    repair: {}", repair.describe());
    }
    match differences.len() {
        0 => println!("no difference"),
        number => println!("differences: {number}"),
    }
}

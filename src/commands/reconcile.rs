//! `flashsale reconcile`

use std::{fmt, process::ExitCode};

use clap::Args;
use serde::Serialize;

use super::{
    distributed::distributed_stores,
    overrides::Overrides,
    target::{ProductFlag, actor},
};
use crate::operations::{fix_differences, report_differences};
use crate::recovery::{Comparison, Repair, Repairs};
use crate::runtime::{Runtime, error_chain, output};

/// Compare Redis, outbox and queue with the ledger, purchase by purchase, and repair what differs
///
/// Shows every difference with its cause and its repair, and in the last line whether the stores
/// agree, which decides the exit code: 0 (they agree, or all is repaired), 1 (they differ) or 2 (no
/// result). With --fix it repairs: outbox entries of recorded purchases are deleted, purchases that
/// were lost are put into the outbox again, a sale is given the ledger's terms, and everything else
/// is repaired by a rebuild from the ledger (attempts are answered 503 for about two seconds). What
/// operators have decided is in the ledger, so a repair carries it over and never undoes it: terms,
/// pauses, cancelled purchases, withheld units, imported and erased buyers. `work` compares every
/// few minutes and reports differences at /readyz and in its log. For the distributed mode: needs
/// DATABASE_URL, REDIS_URL and AMQP_URL.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale reconcile
  flashsale reconcile --product limited-001 --fix")]
pub(super) struct Reconcile {
    #[command(flatten)]
    product: ProductFlag,
    /// Repair what differs
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
                output::note(format_args!("flashsale: no result: {}", error_chain(error.as_ref())));
                ExitCode::from(2)
            }
        }
    }

    /// Returns whether no difference is left.
    async fn reconcile(self, overrides: &Overrides) -> anyhow::Result<bool> {
        let settings = overrides.settings()?;
        let none = "The embedded mode has nothing to reconcile: its admission is made from its ledger at every start";
        let stores = distributed_stores(&settings, "reconcile", none).await?;
        let product = self.product.product(&*stores.ledger).await?;
        let (runtime, actor) = (Runtime::system(), actor());
        let comparison = report_differences(&actor, &stores, &product, &runtime).await?;
        if !self.json {
            output::print(Listing(&comparison)).await;
        }
        let repairs = if self.fix && !comparison.differences.is_empty() {
            Some(fix_differences(&actor, &stores, &product, &comparison).await?)
        } else {
            None
        };
        let outcome = Outcome { agree: agree(&comparison, repairs), comparison, repairs };
        if self.json {
            output::print(serde_json::to_string_pretty(&outcome)?).await;
        } else {
            output::print(&outcome).await;
        }
        Ok(outcome.agree)
    }
}

fn agree(comparison: &Comparison, repairs: Option<Repairs>) -> bool {
    repairs.map_or(comparison.differences.is_empty(), |repairs| repairs.left == 0)
}

/// The result, whose last member decides the exit code.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    comparison: Comparison,
    /// `None`: nothing was to be repaired.
    repairs: Option<Repairs>,
    agree: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.comparison.differences.len(), self.repairs) {
            (0, _) => write!(out, "no difference: admission and ledger agree"),
            (number, None) => write!(out, "differences: {number}"),
            (number, Some(Repairs { left: 0, .. })) => write!(out, "differences: {number}, all repaired"),
            (number, Some(Repairs { left, .. })) => {
                write!(out, "differences: {number}, of which a repair has left {left}")
            }
        }
    }
}

/// A comparison for people.
struct Listing<'comparison>(&'comparison Comparison);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { law, queued, differences } = self.0;
        if let Some(law) = law {
            writeln!(out, "{law}")?;
        }
        if let Some(queued) = queued {
            writeln!(out, "messages in the queue, of all products: {queued}")?;
        }
        for difference in differences {
            let user = difference.user().map_or("the sale", |user| user.as_str());
            writeln!(out, "{user}: {}", difference.detail())?;
            writeln!(out, "    cause:  {}", difference.kind().cause())?;
            writeln!(out, "    repair: {}", Repair::of(difference).describe())?;
        }
        Ok(())
    }
}

//! `flashsale purchases`

mod conclusion;
mod digest;
mod export;
mod import;

use clap::{Args, Subcommand};

use super::{ledger::open_own_ledger, overrides::Overrides, stores, target::actor};
use crate::domain::{PurchaseId, UserId};
use crate::ledger::{Cancelled, Erased};
use crate::operations::{
    Actor,
    purchases::{self, Erasure},
};
use crate::runtime::Runtime;
use conclusion::conclude;

/// Cancel a purchase, erase a person, export purchases, import earlier buyers
///
/// A command decides in the database; a running `work` (or the embedded `serve`) carries the
/// decision over to the sale within a second. Without one, it takes effect when one starts. Needs
/// DATABASE_URL (and the other two), or the data directory of the embedded mode, beside a running
/// `serve` too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale purchases cancel 01a20ae6-dc82-703f-b9d3-b673daf8f0ce --reason 'You returned it.'
  flashsale purchases erase buyer-1
  flashsale purchases export --format csv --output sold.csv
  flashsale purchases import earlier-buyers.txt --product limited-001")]
pub(super) struct Purchases {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take a recorded purchase back: its buyer sees CANCELLED with the reason, and its unit is
    /// sold again
    ///
    /// The row stays. The buyer may not buy the product again, unless --allow-again is given.
    /// Repeating the command changes nothing: the first decision stands.
    Cancel {
        /// The purchase's id, as answers, receipts and `export` show it
        id: uuid::Uuid,
        /// Why; the buyer sees it
        #[arg(long)]
        reason: String,
        /// Do not sell the unit again
        #[arg(long)]
        keep_unit: bool,
        /// Let the buyer buy again
        #[arg(long)]
        allow_again: bool,
        /// Who cancels it; without it, the user of the operating system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Replace a user's id by a random pseudonym, in the database and in the sale
    ///
    /// Purchases, units and counts stay. The system knows the user no more, so the same id may
    /// buy again while the sale runs. What is in flight is renamed once it is recorded. Dead
    /// letters keep the id until they are replayed or discarded; logs and exported files are not
    /// touched. Cannot be undone.
    Erase {
        /// The user's id
        user: String,
    },
    Export(export::Export),
    Import(import::Import),
}

impl Purchases {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        match self.action {
            Action::Cancel { id, reason, keep_unit, allow_again, by } => {
                let actor = by.map_or_else(actor, Actor::named);
                let settings = overrides.settings()?;
                let ledger = open_own_ledger(&settings, "purchases").await?;
                let id = PurchaseId(id);
                let cancelled =
                    purchases::cancel(&actor, &*ledger, id, &reason, keep_unit, allow_again).await?;
                let text = shown(&cancelled);
                conclude(&*ledger, text, cancelled.change).await
            }
            Action::Erase { user } => erase(overrides, &user).await,
            Action::Export(export) => export.run(overrides).await,
            Action::Import(import) => import.run(overrides).await,
        }
    }
}

async fn erase(overrides: &Overrides, user: &str) -> anyhow::Result<()> {
    let (settings, user) = (overrides.settings()?, UserId::parse(user)?);
    let runtime = Runtime::system();
    let sources = stores::sources(&settings, "purchases").await?;
    let (ledger, broker) = (&*sources.ledger, sources.broker.as_deref());
    let Erasure { erased, dead_letters } =
        purchases::erase(&actor(), ledger, broker, &user, &*runtime.entropy).await?;
    let Erased { purchases, revocations, imports, discards, changes } = erased;
    let letters = match dead_letters {
        0 => String::new(),
        number => format!(
            "\n{number} dead letters still name the user: replay or discard them (flashsale dead-letters), and erase \
             the user again"
        ),
    };
    let text = format!(
        "erased: {purchases} purchases, {revocations} revocations, {imports} imports, {discards} records of \
         discarded dead letters{letters}"
    );
    conclude(ledger, text, changes.last().copied()).await
}

fn shown(Cancelled { purchase, is_new, .. }: &Cancelled) -> String {
    let unit = purchase.purchase.unit;
    let Some((at, cancellation)) = &purchase.cancelled else { return String::new() };
    let of_unit = if cancellation.keeps_unit { "is withheld" } else { "returns to stock" };
    let of_buyer = if cancellation.may_buy_again { "may buy again" } else { "may not buy again" };
    let id = purchase.purchase.id;
    if *is_new {
        format!("cancelled {id}: unit {unit} {of_unit}, and its buyer {of_buyer}")
    } else {
        let by = &cancellation.by;
        format!(
            "{id} was cancelled before, at {at} by {by}, and that stands: unit {unit} {of_unit}, and its buyer {of_buyer}"
        )
    }
}

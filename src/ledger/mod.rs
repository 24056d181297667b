//! The ledger is the source of truth: who bought which unit.
//!
//! [`Ledger`] has two forms with one behaviour: PostgreSQL, shared by every process, and SQLite, for the
//! embedded mode. One conformance suite runs the same cases on both.

mod error;
mod postgres;
mod sqlite;
mod verdict;

use crate::domain::{Product, ProductId, Purchase, PurchaseId, Revocation, Terms, UserId};

pub use error::LedgerError;
pub use postgres::{Leader, PostgresLedger, PostgresOptions};
pub use sqlite::SqliteLedger;
pub use verdict::Verdict;

/// A product's sale as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSale {
    /// The product.
    pub product: ProductId,
    /// Which incarnation of the admission state may sell.
    pub epoch: u64,
    /// The terms of the sale.
    pub terms: Terms,
    /// The latest epoch that admission was opened with. Whatever an earlier one admitted may have been handed out anew.
    pub opened_epoch: u64,
    /// The highest unit that is sold; 0: none.
    pub highest_unit: u32,
    /// A lower total stock that the catalogue asks for, and that admission must agree to first.
    pub lower_stock_to: Option<u32>,
}

/// A purchase as it comes to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The incarnation of the admission state that admitted it.
    pub epoch: u64,
    /// What was admitted.
    pub purchase: Purchase,
}

/// When a purchase was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Its unit.
    pub unit: u32,
    /// The purchase.
    pub id: PurchaseId,
    /// By the database's clock, at the beginning of the transaction.
    pub at: chrono::DateTime<chrono::Utc>,
}

/// A dead letter that was given up.
#[derive(Clone, Debug)]
pub struct Discard {
    /// Names the letter.
    pub letter_id: String,
    /// A purchase in it, if it holds any.
    pub purchase: Option<PurchaseId>,
    /// The message, as it is.
    pub body: Vec<u8>,
    /// Why it was a dead letter.
    pub letter_reason: String,
    /// Who gave it up.
    pub discarded_by: String,
    /// And why.
    pub reason: String,
}

/// In whose name a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A worker, which stands aside while a rebuild takes its snapshot.
    Worker,
    /// The rebuild itself, which has made the workers stand aside.
    Rebuild,
}

/// Where purchases are recorded.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// In PostgreSQL.
    Postgres(PostgresLedger),
    /// In a file of this process.
    Sqlite(SqliteLedger),
}

macro_rules! on_either {
    ($ledger:expr, $inner:ident => $call:expr) => {
        match $ledger {
            Ledger::Postgres($inner) => $call.await,
            Ledger::Sqlite($inner) => $call.await,
        }
    };
}

impl Ledger {
    /// Its name in logs and in the readiness answer.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgresql",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Applies the migrations that are missing, under a lock; says how many.
    pub async fn migrate(&self) -> Result<usize, LedgerError> {
        on_either!(self, ledger => ledger.migrate())
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), LedgerError> {
        on_either!(self, ledger => ledger.ping())
    }

    /// Writes the catalogue: new products are added, known ones changed, none removed. All or nothing. Stock
    /// can't be lowered below the highest unit that is sold; a lower one that can be is only noted, see
    /// [`LedgerSale::lower_stock_to`].
    pub async fn upsert_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        on_either!(self, ledger => ledger.upsert_products(products))
    }

    /// Stops or resumes a sale. False: there is no such product.
    pub async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        on_either!(self, ledger => ledger.set_paused(product, paused))
    }

    /// Every product's sale.
    pub async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        on_either!(self, ledger => ledger.sales())
    }

    /// Lowers the total stock to `wanted`, once admission hands out no unit above it; or keeps it, when `lower` is
    /// false. Does nothing if the catalogue asks for something else by now. False: it is not lowered.
    pub async fn settle_stock(
        &self,
        product: &ProductId,
        wanted: u32,
        lower: bool,
    ) -> Result<bool, LedgerError> {
        match self {
            Self::Postgres(ledger) => ledger.settle_stock(product, wanted, lower).await,
            // Nothing is on its way when the only process starts, so the catalogue was obeyed at once.
            Self::Sqlite(_) => Ok(true),
        }
    }

    /// Writes a batch in one transaction and says of each purchase, in order, what became of it. Doing it again
    /// changes nothing.
    pub async fn persist(
        &self,
        purchases: Vec<Admitted>,
        writer: Writer,
    ) -> Result<Vec<Verdict>, LedgerError> {
        on_either!(self, ledger => ledger.persist(purchases, writer))
    }

    /// Records that a purchase was taken back, and why. False: it is in the ledger, and stays, or was revoked
    /// before.
    pub async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        on_either!(self, ledger => ledger.revoke(purchase, reason))
    }

    /// The purchase of an id.
    pub async fn purchase(&self, id: PurchaseId) -> Result<Option<Purchase>, LedgerError> {
        on_either!(self, ledger => ledger.purchase(id))
    }

    /// A user's purchase.
    pub async fn purchase_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Purchase>, LedgerError> {
        on_either!(self, ledger => ledger.purchase_of(product, user))
    }

    /// The latest purchase of a user that was taken back.
    pub async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        on_either!(self, ledger => ledger.revocation_of(product, user))
    }

    /// Every purchase of a product that was taken back, and whose it was.
    pub async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        on_either!(self, ledger => ledger.revocations(product))
    }

    /// Records that an operator gave a dead letter up. Doing it again changes nothing. SQLite has none: the
    /// embedded broker keeps no dead letters.
    pub async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        match self {
            Self::Postgres(ledger) => ledger.record_discard(discard).await,
            Self::Sqlite(_) => Err(LedgerError::Corrupt("a dead letter of the embedded broker")),
        }
    }

    /// A page of a product's purchases in the order of their units, from the one after `after_unit`.
    pub async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        on_either!(self, ledger => ledger.purchases(product, after_unit, limit))
    }

    /// When purchases were recorded, a page of them as [`Ledger::purchases`].
    pub async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        on_either!(self, ledger => ledger.confirmations(product, after_unit, limit))
    }

    /// How many purchases of a product are recorded.
    pub async fn count(&self, product: &ProductId) -> Result<u64, LedgerError> {
        on_either!(self, ledger => ledger.count(product))
    }

    /// Raises a product's epoch above its present one and above `found`, and returns it: from now on no older
    /// admission state may sell.
    pub async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<u64, LedgerError> {
        on_either!(self, ledger => ledger.raise_epoch(product, found))
    }

    /// Notes that admission is about to be opened with this epoch. False: it is not the product's any more. SQLite
    /// needs no note: what the embedded mode admitted does not outlive its state.
    pub async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        match self {
            Self::Postgres(ledger) => ledger.note_opening(product, epoch).await,
            Self::Sqlite(_) => Ok(true),
        }
    }

    /// Whether workers may take messages: no rebuild is under way or waiting.
    pub async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        match self {
            Self::Postgres(ledger) => ledger.workers_may_run().await,
            Self::Sqlite(_) => Ok(true),
        }
    }

    /// Tries to become the one process that rebuilds and sweeps. `None`: another one leads.
    pub async fn lead(&self) -> Result<Option<Leader>, LedgerError> {
        match self {
            Self::Postgres(ledger) => ledger.lead().await,
            // The data directory's lock has made this process the only one.
            Self::Sqlite(_) => Ok(Some(Leader::alone())),
        }
    }
}

/// A unit or a stock as the ledger's column holds it. Neither exceeds [`crate::domain::TOTAL_STOCK_MAX`] in a
/// well-formed catalogue; a unit that does is out of range of every product.
fn column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A column that a check keeps positive.
fn number(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

/// A purchase id as text, for SQLite.
fn purchase_id(text: &str) -> Result<PurchaseId, LedgerError> {
    let parsed = text.parse().map_err(|_not_a_uuid| LedgerError::Corrupt("purchase id"))?;
    Ok(PurchaseId(parsed))
}

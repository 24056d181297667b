//! The ledger is the source of truth: who bought which unit.
//!
//! [`Ledger`] has two implementations with one behaviour: [`PostgresLedger`], shared by every
//! process, and [`SqliteLedger`] for the embedded mode. One conformance suite runs the same cases
//! on both.

mod change;
mod diesel_error;
mod erase;
mod error;
mod leadership;
mod postgres;
mod sqlite;

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{
    AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Money, Offers, Product, ProductId,
    Purchase, PurchaseId, RecordedPurchase, Revocation, SystemId, Terms, UserId,
};

pub use error::LedgerError;
pub use leadership::{Leadership, SoleLeader};
pub use postgres::{PostgresLedger, PostgresOptions};
pub use sqlite::SqliteLedger;

/// Rows per read of [`Ledger::all_recorded`].
const PAGE: u32 = 5_000;

/// The system that a ledger belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    pub id: SystemId,
    /// First part of the names of its Redis keys and queues.
    pub prefix: String,
}

/// A product's sale as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSale {
    pub product: ProductId,
    /// The incarnation of the admission state that may sell.
    pub epoch: u64,
    pub terms: Terms,
    /// The latest epoch that admission was opened with. Whatever an earlier one admitted may have
    /// been handed out anew.
    pub opened_epoch: u64,
    /// The highest unit that is sold or withheld; 0: none.
    pub highest_unit: u32,
    /// A lower total stock that an operator asks for, and that admission must agree to first.
    pub lower_stock_to: Option<u32>,
}

/// An epoch that no admission state has had before, as far as the ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedEpoch {
    pub epoch: u64,
    /// See [`LedgerSale::opened_epoch`], at the same instant.
    pub opened_epoch: u64,
}

/// When a purchase was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    pub unit: u32,
    pub id: PurchaseId,
    /// By the database's clock, at the beginning of the transaction.
    pub at: DateTime<Utc>,
}

/// A dead letter that an operator has given up.
#[derive(Clone, Debug)]
pub struct Discard {
    pub letter_id: String,
    /// A purchase in the letter, if it holds any.
    pub purchase: Option<PurchaseId>,
    /// The message, as it is.
    pub body: Vec<u8>,
    /// Why it was a dead letter.
    pub letter_reason: String,
    pub discarded_by: String,
    /// Why it was given up.
    pub reason: String,
}

/// A purchase that an operator has cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    pub purchase: RecordedPurchase,
    /// False: it was cancelled before, and that decision stands.
    pub is_new: bool,
    /// The change that admission has not followed yet.
    pub change: Option<u64>,
}

/// What an import has added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Users who were not known before.
    pub added: u64,
    /// The last change that admission must follow.
    pub change: Option<u64>,
}

impl Imported {
    fn add(&mut self, changes: impl Iterator<Item = u64>) {
        for number in changes {
            self.added += 1;
            self.change = self.change.max(Some(number));
        }
    }
}

/// How many rows an erasure has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub purchases: usize,
    pub revocations: usize,
    pub imports: usize,
    pub discards: usize,
    /// The changes that admission must follow, one a product.
    pub changes: Vec<u64>,
}

/// In whose name a batch is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A worker's, which stands aside while a rebuild takes its snapshot.
    Worker,
    /// The rebuild's, which has made the workers stand aside.
    Rebuild,
}

/// Records purchases, and keeps what must outlive everything else.
///
/// Every operation is one transaction, and idempotent. An error that [is
/// transient](LedgerError::is_transient) may hide a transaction that was
/// committed: repeat the operation.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Its name in logs and in the readiness answer.
    fn name(&self) -> &'static str;

    /// Applies the migrations that are missing, under a lock, and returns their number.
    async fn migrate(&self) -> Result<usize, LedgerError>;

    async fn ping(&self) -> Result<(), LedgerError>;

    /// Reads which system this is. A new ledger is given an id and this prefix; one that has
    /// another prefix keeps it.
    async fn system(&self, prefix: &str) -> Result<System, LedgerError>;

    /// Gives the system another prefix. Fails while a process of the system is connected.
    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError>;

    /// Commits a write that changes nothing: where it succeeds, a purchase could be recorded, as
    /// far as that does not depend on the purchases that are there.
    async fn probe_write(&self) -> Result<(), LedgerError>;

    /// Adds the products that the ledger does not know, behind the others, and leaves the others
    /// as they are.
    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError>;

    /// Reads the products with the terms that an operator has decided, in their order. A lower
    /// stock that is asked for counts as decided.
    async fn products(&self) -> Result<Vec<Product>, LedgerError>;

    /// Reads what products were sold as. A new product, and one that is given another name or
    /// price, has another offer.
    async fn offers(&self) -> Result<Offers, LedgerError>;

    /// Makes the products those of a catalogue: new ones are added, known ones changed, none
    /// removed; [`order_after`](crate::domain::order_after) is their order. Fails if the products
    /// are not `seen` any more, or if a stock is below the highest unit that is sold. A lower stock
    /// that can be had is only noted, see [`LedgerSale::lower_stock_to`].
    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError>;

    /// Stops or resumes a sale. False: there is no such product.
    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError>;

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError>;

    /// Lowers the total stock to `wanted`, once admission hands out no unit above it; or keeps it,
    /// when `lower` is false. Does nothing if something else is asked for by now. False:
    /// it is not lowered.
    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError>;

    /// Records a batch and returns a verdict on each purchase, in order.
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError>;

    /// Records that a purchase was taken back, and why. False: it is in the ledger, and stays,
    /// or was revoked before.
    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError>;

    /// Takes a recorded purchase back: the row stays. `None`: there is no such purchase.
    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError>;

    /// Uses up the rights of users who bought elsewhere, unless they have a purchase of the product
    /// or were imported before. `earlier` have no unit.
    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        by: &str,
    ) -> Result<Imported, LedgerError>;

    /// Users who were imported and have no purchase of the product, ordered by user, from the one
    /// after `after`.
    async fn earlier_buyers(
        &self,
        product: &ProductId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError>;

    /// Replaces a user's id by a pseudonym, or by the one of an erasure that is under way, in
    /// everything that this ledger has.
    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError>;

    /// Decisions of operators that admission may not have followed yet, in their order, from the
    /// one after `after`.
    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError>;

    /// Deletes changes that admission has followed. Of a user who was renamed, what was recorded
    /// since under the former name is renamed too.
    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError>;

    /// Whether admission may not have followed the change with this number yet.
    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError>;

    /// A recorded purchase, also if it was cancelled.
    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError>;

    /// Those of these purchases that are recorded, and count.
    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError>;

    /// A user's purchase of a product, if it counts.
    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError>;

    /// The latest purchase of a user that was taken back: revoked or cancelled.
    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError>;

    /// Every purchase of a product that was revoked, and whose it was.
    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError>;

    /// Records that an operator gave a dead letter up.
    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError>;

    /// A page of a product's purchases that count, ordered by unit, from the one after
    /// `after_unit`.
    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError>;

    /// A page of everything that was recorded of a product, cancelled purchases too, in the order
    /// of [`RecordedPurchase::position`], from the one after `after`.
    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError>;

    /// All of it: read page by page, so a snapshot only while
    /// nothing is recorded.
    async fn all_recorded(&self, product: &ProductId) -> Result<Vec<RecordedPurchase>, LedgerError> {
        let mut all: Vec<RecordedPurchase> = Vec::new();
        loop {
            let after = all.last().map_or((0, PurchaseId::FIRST), RecordedPurchase::position);
            let page = self.recorded(product, after, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Whether a unit is someone's, or withheld.
    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError>;

    /// The purchase that has this unit, and counts.
    async fn owner_of(&self, product: &ProductId, unit: u32) -> Result<Option<Purchase>, LedgerError> {
        let row = self.purchases(product, unit.saturating_sub(1), 1).await?;
        Ok(row.into_iter().find(|row| row.unit == unit))
    }

    /// When purchases were recorded, a page as [`Ledger::purchases`].
    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError>;

    /// Counts the units of a product that the ledger has, at one instant.
    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError>;

    /// Raises a product's epoch above its present one and above `found`: from now on no older
    /// admission state may sell.
    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError>;

    /// Records that admission is about to be opened with this epoch. False: it is not the
    /// product's any more.
    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError>;

    /// Whether workers may take messages: no rebuild is under way or waiting.
    async fn workers_may_run(&self) -> Result<bool, LedgerError>;

    /// Tries to become the one process that rebuilds and sweeps. `None`: another one leads.
    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError>;
}

/// A unit or a stock as the ledger's column holds it. Neither exceeds
/// [`crate::domain::TOTAL_STOCK_MAX`] in a well-formed catalogue; a unit that does is out of
/// range of every product.
fn column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A column that a check keeps positive.
fn number(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

fn money(minor: i64, currency: &str) -> Result<Money, LedgerError> {
    Money::from_minor(minor, currency).map_err(|_why| LedgerError::Corrupt("currency"))
}

/// Fails if a product's stock is below the highest unit that is sold.
pub fn check_stock(wanted: &Product, highest_unit: u32) -> Result<(), LedgerError> {
    let Product { id, total_stock, .. } = wanted;
    if *total_stock >= highest_unit {
        return Ok(());
    }
    Err(LedgerError::StockBelowSold { product: id.clone(), total_stock: *total_stock, highest_unit })
}

/// A purchase id as text, for SQLite.
fn purchase_id(text: &str) -> Result<PurchaseId, LedgerError> {
    let parsed = text.parse().map_err(|_not_a_uuid| LedgerError::Corrupt("purchase id"))?;
    Ok(PurchaseId(parsed))
}

//! Reading what was recorded and what was revoked.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;

use super::{
    LedgerError,
    columns::{Id, Number, Timestamp},
};
use crate::domain::{LedgerCounts, ProductId, Purchase, PurchaseId, RecordedPurchase, Revocation, UserId};

/// Rows per read of [`PurchaseLedger::all_recorded`].
const PAGE: u32 = 5_000;

/// When a purchase was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Confirmation {
    #[diesel(sql_type = Number)]
    pub unit: u32,
    #[diesel(sql_type = Id)]
    pub id: PurchaseId,
    /// By the database's clock, at the beginning of the transaction.
    #[diesel(sql_type = Timestamp, column_name = confirmed_at)]
    pub at: DateTime<Utc>,
}

/// Reads what was recorded, and what was taken back.
#[async_trait]
pub trait PurchaseLedger: Send + Sync {
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

    /// A page of a product's purchases that count, ordered by unit, from the one after
    /// `after_unit`.
    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError>;

    /// When purchases were recorded, a page as [`PurchaseLedger::purchases`].
    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError>;

    /// A page of everything that was recorded of a product, cancelled purchases too, in the order
    /// of [`RecordedPurchase::position`], from the one after `after`.
    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError>;

    /// All of it: read page by page, so a snapshot only while nothing is recorded.
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

    /// Counts the units of a product that the ledger has, at one instant.
    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError>;
}

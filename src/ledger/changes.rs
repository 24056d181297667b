//! What operators decide about purchases and users, and admission must follow.

use async_trait::async_trait;

use super::LedgerError;
use crate::domain::{
    AdmissionChange, Cancellation, ProductId, Purchase, PurchaseId, RecordedPurchase, UserId,
};

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
    pub(super) fn add(&mut self, change: u64) {
        self.added += 1;
        self.change = self.change.max(Some(change));
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

/// Keeps the decisions of operators about purchases and users.
#[async_trait]
pub trait ChangeLedger: Send + Sync {
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
}

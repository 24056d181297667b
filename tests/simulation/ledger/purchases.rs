//! Reading purchases in the simulated ledger.

use async_trait::async_trait;
use flashsale::{
    domain::{
        LedgerCounts, ProductId, Purchase, PurchaseId, PurchaseState, RecordedPurchase, Revocation, UserId,
    },
    ledger::{Confirmation, LedgerError, PurchaseLedger},
};

use super::SimLedger;

#[async_trait]
impl PurchaseLedger for SimLedger {
    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        self.run(|tables| tables.recorded_purchase(id)).await
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| {
            let rows = ids.iter().filter_map(|id| tables.recorded_purchase(*id));
            rows.filter(|row| row.cancelled.is_none()).map(|row| row.purchase).collect()
        })
        .await
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        self.run(|tables| tables.purchase_of(product, user).cloned()).await
    }

    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        self.run(|tables| {
            let rows = tables.revocations.iter().rev();
            let mut latest = rows.filter(|row| (&row.product, &row.user) == (product, user));
            let revoked = latest.next().map(|row| Revocation {
                id: row.id,
                reason: row.reason.clone(),
                state: PurchaseState::Revoked,
            });
            let cancelled = tables
                .cancelled()
                .filter(|row| (&row.purchase.product, &row.purchase.user) == (product, user));
            let latest = cancelled.max_by_key(|row| row.cancelled.as_ref().map(|(at, _)| *at));
            let cancelled = latest.map(|row| Revocation {
                id: row.purchase.id,
                reason: row.cancelled.as_ref().map(|(_, how)| how.reason.clone()).unwrap_or_default(),
                state: PurchaseState::Cancelled,
            });
            // Which of both is later does not matter to the oracles.
            cancelled.or(revoked)
        })
        .await
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        self.run(|tables| {
            let rows = tables.revocations.iter().filter(|row| row.product == *product);
            rows.map(|row| (row.id, row.user.clone())).collect()
        })
        .await
    }

    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| tables.rows(product, after_unit).take(limit as usize).cloned().collect()).await
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.confirmations(product, after_unit);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.recorded(product, after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        self.run(|tables| tables.unit_is_held(product, unit)).await
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        self.run(|tables| tables.counts(product)).await
    }
}

//! A ledger that is wrong in a known way.

use std::sync::Arc;

use async_trait::async_trait;
use flashsale::{
    domain::{
        AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Offers, Product, ProductId,
        Purchase, PurchaseId, RecordedPurchase, Revocation, UserId,
    },
    ledger::{
        Cancelled, Confirmation, Discard, Erased, Imported, Leadership, Ledger, LedgerError, LedgerSale,
        RaisedEpoch, System, Writer,
    },
};

/// Takes `ON CONFLICT DO NOTHING` for success: whatever was not inserted counts as recorded.
#[derive(Debug)]
pub(crate) struct NothingDoneIsSuccess(pub(crate) Arc<dyn Ledger>);

#[async_trait]
impl Ledger for NothingDoneIsSuccess {
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.0.record(entries, writer).await?;
        Ok(vec![LedgerVerdict::Recorded; entries.len()])
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn migrate(&self) -> Result<usize, LedgerError> {
        self.0.migrate().await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.0.ping().await
    }

    async fn system(&self, prefix: &str) -> Result<System, LedgerError> {
        self.0.system(prefix).await
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        self.0.change_prefix(prefix).await
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        self.0.probe_write().await
    }

    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        self.0.add_products(products).await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        self.0.products().await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        self.0.offers().await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        self.0.change_products(seen, wanted).await
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        self.0.set_paused(product, paused).await
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        self.0.sales().await
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        self.0.settle_stock(product, wanted, lower).await
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        self.0.revoke(purchase, reason).await
    }

    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError> {
        self.0.cancel(id, cancellation).await
    }

    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        by: &str,
    ) -> Result<Imported, LedgerError> {
        self.0.import(product, earlier, by).await
    }

    async fn earlier_buyers(
        &self,
        product: &ProductId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.0.earlier_buyers(product, after, limit).await
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        self.0.erase(user, pseudonym).await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        self.0.changes(after, limit).await
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        self.0.complete_changes(changes).await
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        self.0.change_is_due(number).await
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        self.0.recorded(product, after, limit).await
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        self.0.unit_is_held(product, unit).await
    }

    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        self.0.purchase(id).await
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        self.0.purchases_among(ids).await
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        self.0.purchase_of(product, user).await
    }

    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        self.0.revocation_of(product, user).await
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        self.0.revocations(product).await
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        self.0.record_discard(discard).await
    }

    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.0.purchases(product, after_unit, limit).await
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        self.0.confirmations(product, after_unit, limit).await
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        self.0.counts(product).await
    }

    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        self.0.raise_epoch(product, found).await
    }

    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        self.0.note_opening(product, epoch).await
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        self.0.workers_may_run().await
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        self.0.lead().await
    }
}

//! A ledger that is wrong in a known way.

use std::sync::Arc;

use async_trait::async_trait;
use flashsale::{
    domain::{
        AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Offers, Product, ProductId,
        Purchase, PurchaseId, RecordedPurchase, Revocation, UserId,
    },
    ledger::{
        Cancelled, ChangeLedger, Confirmation, Discard, EpochLedger, Erased, Imported, Leadership, Ledger,
        LedgerError, LedgerSale, ProductLedger, PurchaseLedger, RaisedEpoch, RecordingLedger, System,
        SystemLedger, Writer,
    },
};

/// Takes `ON CONFLICT DO NOTHING` for success: whatever was not inserted counts as recorded.
#[derive(Debug)]
pub(crate) struct NothingDoneIsSuccess(pub(crate) Arc<dyn Ledger>);

#[async_trait]
impl RecordingLedger for NothingDoneIsSuccess {
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.0.record(entries, writer).await?;
        Ok(vec![LedgerVerdict::Recorded; entries.len()])
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        self.0.revoke(purchase, reason).await
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        self.0.record_discard(discard).await
    }
}

/// Implements a trait by the ledger inside.
macro_rules! delegate {
    ($trait:ident { $($name:ident($($value:ident: $type:ty),*) -> $answer:ty;)* }) => {
        #[async_trait]
        impl $trait for NothingDoneIsSuccess {
            $(async fn $name(&self, $($value: $type),*) -> Result<$answer, LedgerError> {
                self.0.$name($($value),*).await
            })*
        }
    };
}

delegate!(ProductLedger {
    add_products(products: &[Product]) -> ();
    products() -> Vec<Product>;
    offers() -> Offers;
    change_products(seen: &[Product], wanted: &[Product]) -> ();
    set_paused(product: &ProductId, paused: bool) -> bool;
    sales() -> Vec<LedgerSale>;
    settle_stock(product: &ProductId, wanted: u32, lower: bool) -> bool;
});

delegate!(PurchaseLedger {
    purchase(id: PurchaseId) -> Option<RecordedPurchase>;
    purchases_among(ids: &[PurchaseId]) -> Vec<Purchase>;
    purchase_of(product: &ProductId, user: &UserId) -> Option<Purchase>;
    revocation_of(product: &ProductId, user: &UserId) -> Option<Revocation>;
    revocations(product: &ProductId) -> Vec<(PurchaseId, UserId)>;
    purchases(product: &ProductId, after_unit: u32, limit: u32) -> Vec<Purchase>;
    confirmations(product: &ProductId, after_unit: u32, limit: u32) -> Vec<Confirmation>;
    recorded(product: &ProductId, after: (u32, PurchaseId), limit: u32) -> Vec<RecordedPurchase>;
    unit_is_held(product: &ProductId, unit: u32) -> bool;
    counts(product: &ProductId) -> LedgerCounts;
});

delegate!(ChangeLedger {
    cancel(id: PurchaseId, cancellation: &Cancellation) -> Option<Cancelled>;
    import(product: &ProductId, earlier: &[Purchase], by: &str) -> Imported;
    earlier_buyers(product: &ProductId, after: Option<&UserId>, limit: u32) -> Vec<Purchase>;
    erase(user: &UserId, pseudonym: &UserId) -> Erased;
    changes(after: u64, limit: u32) -> Vec<AdmissionChange>;
    complete_changes(changes: &[AdmissionChange]) -> ();
    change_is_due(number: u64) -> bool;
});

delegate!(EpochLedger {
    raise_epoch(product: &ProductId, found: u64) -> RaisedEpoch;
    note_opening(product: &ProductId, epoch: u64) -> bool;
    workers_may_run() -> bool;
    lead() -> Option<Box<dyn Leadership>>;
});

#[async_trait]
impl SystemLedger for NothingDoneIsSuccess {
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
}

//! What readers ask: a user's purchase, and the sale.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{CachedSales, CheckoutError};
use crate::admission::{Admission, Found};
use crate::domain::{
    Offers, ProductId, Purchase, PurchaseId, PurchaseState, RecordedPurchase, Revocation, SaleState, UserId,
};
use crate::ledger::Ledger;
use crate::runtime::Runtime;
use crate::stores::Stores;

/// What is known of a user's purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseStatus {
    Purchased(Purchase, PurchaseState),
    /// The user had a purchase, and it was taken back: revoked or cancelled.
    Revoked(Revocation),
    None,
}

/// Reads sales and purchases. Clones share everything.
#[derive(Clone, Debug)]
pub struct SaleReader {
    admission: Arc<dyn Admission>,
    /// Asked only about purchases that were taken back.
    ledger: Arc<dyn Ledger>,
    cached: CachedSales,
    runtime: Runtime,
}

impl SaleReader {
    pub fn new(stores: &Stores, runtime: &Runtime) -> Self {
        let Stores { admission, ledger, .. } = stores.clone();
        Self { admission, ledger, cached: CachedSales::new(runtime), runtime: runtime.clone() }
    }

    pub(super) fn admission(&self) -> &Arc<dyn Admission> {
        &self.admission
    }

    /// Tells the cache that this process has handed out a unit.
    pub(super) fn admitted(&self) {
        self.cached.admitted();
    }

    #[must_use]
    pub(super) fn on_this_thread(&self) -> Self {
        let (admission, cached) = (self.admission.on_this_thread(), self.cached.on_this_thread());
        Self { admission, cached, ..self.clone() }
    }

    /// A user's purchase, as it is now.
    pub async fn status(&self, product: &ProductId, user: &UserId) -> Result<PurchaseStatus, CheckoutError> {
        match self.admission.find(product, user).await? {
            Found::Nothing { revocations: false } => Ok(PurchaseStatus::None),
            Found::Nothing { revocations: true } | Found::Purchase(_, PurchaseState::Cancelled) => {
                let revocation = self.ledger.revocation_of(product, user).await?;
                Ok(revocation.map_or(PurchaseStatus::None, PurchaseStatus::Revoked))
            }
            Found::Purchase(entry, state) => Ok(PurchaseStatus::Purchased(entry.purchase, state)),
        }
    }

    /// The sale, at most 250 ms old.
    pub async fn sale(&self, product: &ProductId) -> Result<SaleState, CheckoutError> {
        Ok(self.cached.sale(&*self.admission, product).await?)
    }

    /// A purchase of the ledger, by its id.
    pub async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, CheckoutError> {
        Ok(self.ledger.purchase(id).await?)
    }

    /// What products were sold as.
    pub async fn offers(&self) -> Result<Offers, CheckoutError> {
        Ok(self.ledger.offers().await?)
    }

    /// This process's wall time, for what is shown while admission can't be read.
    pub fn now(&self) -> DateTime<Utc> {
        self.runtime.clock.now()
    }
}

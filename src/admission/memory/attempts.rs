//! Attempts on the state machine of a sale.

use async_trait::async_trait;

use super::MemoryAdmission;
use crate::admission::{AdmissionError, Attempts, Decision, Found, Watermark};
use crate::domain::{ProductId, PurchaseId, SaleState, UserId};

#[async_trait]
impl Attempts for MemoryAdmission {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let decision = self.with_known(product, |sale, known, now| sale.admit(user, id, known, now))?;
        self.watermarks.note_decision(product, &decision);
        Ok(decision)
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let state = self.with_known(product, |sale, known, now| sale.sale(known, now))?;
        self.watermarks.saw(product, Watermark::of(&state));
        Ok(state)
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        self.with_known(product, |sale, known, _| sale.find(user, known))
    }
}

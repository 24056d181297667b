//! Attempts by scripts.

use async_trait::async_trait;

use super::{Connections, RedisAdmission, replies};
use crate::admission::{AdmissionError, Attempts, Decision, Found, Watermark};
use crate::domain::{ProductId, PurchaseId, SaleState, UserId};

#[async_trait]
impl<C: Connections> Attempts for RedisAdmission<C> {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let mut call = self.call(&self.scripts().admit, product);
        call.arg(user.as_str()).arg(id.to_string());
        let decision = replies::decision(&self.run_known(product, call).await?, product, user)?;
        self.shared.watermarks.note_decision(product, &decision);
        Ok(decision)
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let call = self.call(&self.scripts().sale, product);
        let state = replies::sale(&self.run_known(product, call).await?)?;
        self.shared.watermarks.saw(product, Watermark::of(&state));
        Ok(state)
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        let mut call = self.call(&self.scripts().find, product);
        call.arg(user.as_str());
        replies::found(&self.run_known(product, call).await?, product, user)
    }
}

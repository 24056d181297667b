//! Operators' decisions on the state machine of a sale.

use async_trait::async_trait;

use super::MemoryAdmission;
use crate::admission::{AdmissionError, OperatorDecisions};
use crate::domain::{ProductId, Purchase, Terms, UserId};

#[async_trait]
impl OperatorDecisions for MemoryAdmission {
    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError> {
        self.with_known(&cancelled.product, |sale, known, _| {
            sale.cancel(cancelled, keeps_unit, may_buy_again, known)
        })
    }

    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError> {
        let Some(first) = earlier.first() else { return Ok(()) };
        self.with_known(&first.product, |sale, known, _| sale.bar(earlier, known))
    }

    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError> {
        self.with_known(product, |sale, known, _| sale.rename(user, pseudonym, known))
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        self.with_own(product, |sale, _| sale.configure(epoch, terms))
    }
}

//! Settlement on the state machine of a sale.

use async_trait::async_trait;

use super::MemoryAdmission;
use crate::admission::{AdmissionError, Reassignment, Settlement, WithdrawnUnit};
use crate::domain::{Entry, EntryId, ProductId, Purchase};

#[async_trait]
impl Settlement for MemoryAdmission {
    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.outbox(after, up_to, limit)))
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        let Some(first) = entries.first() else { return Ok(()) };
        self.with_own(&first.purchase.product, |sale, _| sale.settle(entries))
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        let Some(first) = entries.first() else { return Ok(()) };
        self.with_own(&first.purchase.product, |sale, _| sale.mark_dead_lettered(entries))
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        self.with_known(&withdrawn.product, |sale, known, _| sale.withdraw(withdrawn, stands, unit, known))
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        self.with_known(&purchase.product, |sale, known, now| sale.reassign(purchase, may_keep, known, now))
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        self.with_own(&owner.product, |sale, _| sale.adopt(owner))
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        self.with_own(&purchase.product, |sale, now| sale.republish(purchase, now))
    }
}

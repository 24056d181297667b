//! What operators decide, in the simulated ledger.

use async_trait::async_trait;
use flashsale::{
    domain::{AdmissionChange, Cancellation, ProductId, Purchase, PurchaseId, UserId},
    ledger::{Cancelled, ChangeLedger, Erased, Imported, LedgerError},
};

use super::SimLedger;

#[async_trait]
impl ChangeLedger for SimLedger {
    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError> {
        let now = self.sim.now();
        self.run(|tables| tables.cancel(id, cancellation, now)).await
    }

    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        _by: &str,
    ) -> Result<Imported, LedgerError> {
        self.run(|tables| tables.import(product, earlier)).await
    }

    async fn earlier_buyers(
        &self,
        product: &ProductId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.earlier_buyers(product, after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        self.run(|tables| tables.erase(user, pseudonym)).await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.changes(after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        self.run(|tables| tables.complete(changes)).await?;
        self.sim.note(self.pid, format_args!("carried over: {changes:?}"));
        Ok(())
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        self.run(|tables| tables.changes.contains_key(&number)).await
    }
}

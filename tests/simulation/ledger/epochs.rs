//! Epochs and the lead in the simulated ledger.

use async_trait::async_trait;
use flashsale::{
    domain::ProductId,
    ledger::{EpochLedger, Leadership, LedgerError, RaisedEpoch},
};

use super::{SimLedger, leadership::SimLeadership};

#[async_trait]
impl EpochLedger for SimLedger {
    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let raised = self
            .run(|tables| {
                let row = tables.products.get_mut(product)?;
                row.epoch = row.epoch.max(found) + 1;
                Some(RaisedEpoch { epoch: row.epoch, opened_epoch: row.opened_epoch })
            })
            .await?;
        let raised = raised.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
        self.sim.note(self.pid, format_args!("raise epoch to {}", raised.epoch));
        Ok(raised)
    }

    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let row = tables.products.get_mut(product).filter(|row| row.epoch == epoch);
            row.map(|row| row.opened_epoch = epoch).is_some()
        })
        .await
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        self.arrive().await?;
        let may_run = self.database.lock().locks.workers_may_run();
        self.reply().await?;
        Ok(may_run)
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        self.arrive().await?;
        let elected = SimLeadership::elect(self);
        self.reply().await?;
        Ok(elected.map(|leader| Box::new(leader) as Box<dyn Leadership>))
    }
}

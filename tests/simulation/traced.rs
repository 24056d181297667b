//! Writes what admission decides into the trace.

use std::sync::Arc;

use async_trait::async_trait;
use flashsale::{
    admission::{Admission, AdmissionError, Decision, Opening, SnapshotTotals},
    domain::{ProductId, PurchaseId, Terms, UserId},
};

use crate::{executor::Pid, mutants::decorator::AdmissionDecorator, sim::Sim};

#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) inner: Arc<dyn Admission>,
    pub(crate) sim: Sim,
    pub(crate) pid: Pid,
}

#[async_trait]
impl AdmissionDecorator for Traced {
    fn inner(&self) -> &Arc<dyn Admission> {
        &self.inner
    }

    fn around(&self, inner: Arc<dyn Admission>) -> Self {
        Self { inner, sim: self.sim.clone(), pid: self.pid }
    }

    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let decided = self.inner.admit(product, user, id).await;
        match &decided {
            Ok(Decision::Won(entry)) => {
                let (unit, epoch) = (entry.purchase.unit, entry.epoch);
                self.sim.note(self.pid, format_args!("admit {user}: unit {unit}, epoch {epoch}"));
            }
            Ok(Decision::InOutbox(entry)) => {
                let unit = entry.purchase.unit;
                self.sim.note(self.pid, format_args!("admit {user}: has unit {unit}, in the outbox"));
            }
            Ok(Decision::Already(entry, state)) => {
                let unit = entry.purchase.unit;
                self.sim.note(self.pid, format_args!("admit {user}: has unit {unit}, {state:?}"));
            }
            Ok(Decision::Refused(outcome)) => {
                self.sim.note(self.pid, format_args!("admit {user}: {outcome:?}"));
            }
            Err(error) => self.sim.note(self.pid, format_args!("admit {user}: {error}")),
        }
        decided
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        let opened = self.inner.open(product, epoch, terms, totals).await;
        self.sim.note(self.pid, format_args!("open epoch {epoch} with {totals:?}: {opened:?}"));
        opened
    }
}

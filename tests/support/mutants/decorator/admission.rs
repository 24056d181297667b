//! Decorators of the admission.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use flashsale::{
    admission::{
        Admission, AdmissionError, Attempts, Contents, Decision, Fence, Found, Opening, OperatorDecisions,
        Reassignment, Rebuild, RebuildStep, Settlement, SnapshotTotals, StagedPart, WithdrawnUnit,
    },
    domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId},
};

use super::Decorated;

/// The operations of [`Admission`] that a mutant changes.
#[async_trait]
pub(crate) trait AdmissionDecorator: Debug + Send + Sync + Sized + 'static {
    fn inner(&self) -> &Arc<dyn Admission>;

    /// The same mistake around another admission.
    fn around(&self, inner: Arc<dyn Admission>) -> Self;

    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        self.inner().admit(product, user, id).await
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        self.inner().sale(product).await
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        self.inner().outbox(product, after, up_to, limit).await
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        self.inner().contents(product).await
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        self.inner().stage(product, epoch, part).await
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        self.inner().open(product, epoch, terms, totals).await
    }
}

#[async_trait]
impl<D: AdmissionDecorator> Attempts for Decorated<D> {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        self.0.admit(product, user, id).await
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        self.0.sale(product).await
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        self.0.inner().find(product, user).await
    }
}

#[async_trait]
impl<D: AdmissionDecorator> Settlement for Decorated<D> {
    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        self.0.outbox(product, after, up_to, limit).await
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.0.inner().settle(entries).await
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.0.inner().mark_dead_lettered(entries).await
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        self.0.inner().withdraw(withdrawn, stands, unit).await
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        self.0.inner().reassign(purchase, may_keep).await
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        self.0.inner().adopt(owner).await
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        self.0.inner().send_again(purchase).await
    }
}

#[async_trait]
impl<D: AdmissionDecorator> OperatorDecisions for Decorated<D> {
    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError> {
        self.0.inner().cancel(cancelled, keeps_unit, may_buy_again).await
    }

    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError> {
        self.0.inner().bar(earlier).await
    }

    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError> {
        self.0.inner().rename(product, user, pseudonym).await
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        self.0.inner().configure(product, epoch, terms).await
    }
}

#[async_trait]
impl<D: AdmissionDecorator> Rebuild for Decorated<D> {
    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        self.0.contents(product).await
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        self.0.inner().fence(product, epoch).await
    }

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        self.0.inner().note_step(product, epoch, step).await
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        self.0.stage(product, epoch, part).await
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        self.0.inner().unstage(product, epoch).await
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        self.0.open(product, epoch, terms, totals).await
    }

    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.0.inner().seen_epoch(product)
    }

    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64) {
        self.0.inner().raise_watermark(product, raised, opened);
    }
}

impl<D: AdmissionDecorator> Admission for Decorated<D> {
    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(Self(self.0.around(self.0.inner().on_this_thread())))
    }

    fn outlives_process(&self) -> bool {
        self.0.inner().outlives_process()
    }
}

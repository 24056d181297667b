//! Decorators: each operation goes to the decorated store, unless the decorator has its own.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use flashsale::{
    admission::{
        Admission, AdmissionError, Contents, Decision, Fence, Found, Opening, Reassignment, RebuildStep,
        SnapshotTotals, StagedPart, WithdrawnUnit,
    },
    broker::{
        Bindings, Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths,
        Unrecordable,
    },
    domain::{Durability, Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId},
    observability::Dependency,
};

/// A store with the operations of a decorator.
#[derive(Debug)]
pub(crate) struct Decorated<D>(pub(crate) D);

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
impl<D: AdmissionDecorator> Admission for Decorated<D> {
    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.0.inner().seen_epoch(product)
    }

    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64) {
        self.0.inner().raise_watermark(product, raised, opened);
    }

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

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        self.0.outbox(product, after, up_to, limit).await
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        self.0.contents(product).await
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

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(Self(self.0.around(self.0.inner().on_this_thread())))
    }

    fn outlives_process(&self) -> bool {
        self.0.inner().outlives_process()
    }
}

/// The operations of [`Broker`] that a mutant changes.
#[async_trait]
pub(crate) trait BrokerDecorator: Debug + Send + Sync + 'static {
    fn inner(&self) -> &Arc<dyn Broker>;

    /// What the queue's consumer is replaced with.
    fn consumer(&self, consumer: Box<dyn Consumer>) -> Box<dyn Consumer> {
        consumer
    }

    /// What the dead letters are replaced with.
    fn dead_letters(&self, held: Box<dyn DeadLetters>) -> Box<dyn DeadLetters> {
        held
    }

    /// For how long the queue has confirmed and delivered nothing.
    fn stalled_for(&self) -> Option<Duration> {
        self.inner().stalled_for()
    }
}

#[async_trait]
impl<D: BrokerDecorator> Broker for Decorated<D> {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.0.inner().publish(entries).await
    }

    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.0.inner().publish_unfenced(entries).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        self.0.inner().bindings().await
    }

    fn durability(&self) -> Durability {
        self.0.inner().durability()
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(self.0.consumer(self.0.inner().consumer().await?))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        self.0.inner().depths().await
    }

    fn generation(&self) -> u64 {
        self.0.inner().generation()
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.0.stalled_for()
    }

    fn consuming(&self) -> Option<&Dependency> {
        self.0.inner().consuming()
    }

    async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        self.0.inner().dead_letter(letter, reason, history).await
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        Ok(self.0.inner().dead_letters().await?.map(|held| self.0.dead_letters(held)))
    }
}

//! Admission in memory, for the embedded mode: the state machine of each sale under one lock. A
//! rebuild from the ledger opens the sales at every start, as in Redis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Admission, AdmissionError, Contents, Decision, Fence, Found, Opening, Reassignment, RebuildStep,
    StagedPart, Watermark, WithdrawnUnit, watermarks::Watermarks,
};
use crate::domain::sale::{Known, NotAdmitting, SaleMachine};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId};
use crate::runtime::Clock;

/// The server identity of a state that ends with the process.
const SERVER: &str = "memory";

/// Clones share the state.
#[derive(Clone, Debug)]
pub struct MemoryAdmission {
    clock: Arc<dyn Clock>,
    sales: Arc<Mutex<HashMap<ProductId, SaleMachine>>>,
    watermarks: Watermarks,
}

impl MemoryAdmission {
    /// Without a sale: nothing is ready until a rebuild has opened it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sales: Arc::default(), watermarks: Watermarks::default() }
    }

    /// Runs an operation on a product's state; a test also damages the state so. The time is read
    /// under the lock, so that its order is that of the operations.
    pub fn with<T>(&self, product: &ProductId, run: impl FnOnce(&mut SaleMachine, DateTime<Utc>) -> T) -> T {
        let mut sales = self.sales.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some(sale) = sales.get_mut(product) {
            return run(sale, now);
        }
        run(sales.entry(product.clone()).or_insert(SaleMachine::new(product.clone())), now)
    }

    /// As [`MemoryAdmission::with`], for an operation that uses no state which is behind what was
    /// seen.
    fn with_known<T>(
        &self,
        product: &ProductId,
        run: impl FnOnce(&mut SaleMachine, Known<'_>, DateTime<Utc>) -> Result<T, NotAdmitting>,
    ) -> Result<T, AdmissionError> {
        let watermark = self.watermarks.of(product);
        let answer = self.with(product, |sale, now| {
            let answer = run(sale, Known { server: SERVER, watermark }, now);
            if matches!(answer, Err(NotAdmitting::RolledBack)) {
                sale.distrust(watermark);
            }
            answer
        });
        Ok(answer?)
    }
}

#[async_trait]
impl Admission for MemoryAdmission {
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
        self.watermarks.raise(product, Watermark::of(&state));
        Ok(state)
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        self.with_known(product, |sale, known, _| sale.find(user, known))
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.outbox(after, up_to, limit)))
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.contents()))
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        let Some(first) = entries.first() else { return Ok(()) };
        self.with(&first.purchase.product, |sale, _| sale.settle(entries));
        Ok(())
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        let Some(first) = entries.first() else { return Ok(()) };
        self.with(&first.purchase.product, |sale, _| sale.mark_dead_lettered(entries));
        Ok(())
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        self.with(&withdrawn.product, |sale, _| sale.withdraw(withdrawn, stands, unit));
        Ok(())
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        self.with_known(&purchase.product, |sale, known, now| sale.reassign(purchase, may_keep, known, now))
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        self.with(&owner.product, |sale, _| sale.adopt(owner));
        Ok(())
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        Ok(self.with(&purchase.product, |sale, now| sale.republish(purchase, now)))
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.configure(epoch, terms)))
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.fence(epoch)))
    }

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        self.with(product, |sale, _| sale.note_step(epoch, step));
        Ok(())
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        self.with(product, |sale, _| sale.stage(epoch, part));
        Ok(())
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        self.with(product, |sale, _| sale.unstage(epoch));
        Ok(())
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.open(epoch, terms, next, revoked, SERVER)))
    }

    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.watermarks.of(product).surpassed_epoch()
    }

    fn raise_watermark(&self, product: &ProductId, epoch: u64) {
        self.watermarks.raise(product, Watermark { epoch, unit: 0 });
    }

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(self.clone())
    }

    fn outlives_process(&self) -> bool {
        false
    }
}

//! Admission in memory, for the embedded mode: the state machine of each sale under one lock. A
//! rebuild from the ledger opens the sales at every start, as in Redis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Admission, AdmissionError, Contents, Decision, Fence, Found, Opening, Reassignment, RebuildStep,
    SnapshotTotals, StagedPart, Watermark, WithdrawnUnit, watermarks::Watermarks,
};
use crate::domain::sale::{Horizon, Known, NotAdmitting, SaleMachine};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, SystemId, Terms, UserId};
use crate::runtime::Clock;

/// The server identity of a state that ends with the process.
const SERVER: &str = "memory";

/// Clones share the state.
#[derive(Clone, Debug)]
pub struct MemoryAdmission {
    clock: Arc<dyn Clock>,
    sales: Arc<Mutex<HashMap<ProductId, SaleMachine>>>,
    watermarks: Watermarks,
    system: watch::Receiver<Option<SystemId>>,
}

impl MemoryAdmission {
    /// Without a sale: nothing is ready until a rebuild has opened it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::of_system(clock, watch::channel(None).1)
    }

    /// As [`MemoryAdmission::new`], for a test in which systems share the states.
    pub fn of_system(clock: Arc<dyn Clock>, system: watch::Receiver<Option<SystemId>>) -> Self {
        Self { clock, sales: Arc::default(), watermarks: Watermarks::default(), system }
    }

    fn system(&self) -> Option<SystemId> {
        *self.system.borrow()
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

    /// As [`MemoryAdmission::with`], for an operation on a state that must not be another system's.
    fn with_own<T>(
        &self,
        product: &ProductId,
        run: impl FnOnce(&mut SaleMachine, DateTime<Utc>) -> T,
    ) -> Result<T, AdmissionError> {
        let run = |sale: &mut SaleMachine, now| sale.check_owner(self.system()).map(|()| run(sale, now));
        Ok(self.with(product, run)?)
    }

    /// As [`MemoryAdmission::with_own`], for an operation that uses no state which is behind what
    /// is known.
    fn with_known<T>(
        &self,
        product: &ProductId,
        run: impl FnOnce(&mut SaleMachine, Known<'_>, DateTime<Utc>) -> Result<T, NotAdmitting>,
    ) -> Result<T, AdmissionError> {
        let horizon = self.watermarks.of(product);
        let answer = self.with_own(product, |sale, now| {
            let answer = run(sale, Known { server: SERVER, watermark: horizon.watermark() }, now);
            if matches!(answer, Err(NotAdmitting::RolledBack)) {
                sale.distrust(horizon.seen);
            }
            answer
        });
        Ok(answer??)
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
        self.watermarks.saw(product, Watermark::of(&state));
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

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        self.with_own(product, |sale, _| sale.fence(epoch, self.system()))
    }

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        self.with_own(product, |sale, _| sale.note_step(epoch, step))
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        self.with_own(product, |sale, _| sale.stage(epoch, part))
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
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        let place = (SERVER, self.system());
        self.with_own(product, |sale, _| sale.open(epoch, terms, totals, place))
    }

    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.watermarks.of(product).surpassed_epoch()
    }

    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64) {
        let seen = Watermark { epoch: opened, unit: 0 };
        self.watermarks.advance(product, Horizon { seen, raised });
    }

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(self.clone())
    }

    fn outlives_process(&self) -> bool {
        false
    }
}

//! Makes a product's admission state from the ledger, after the ledger has taken over what the
//! other stores hold of it. Nothing else writes that state as a whole: not at the first
//! preparation, not after a loss, not after a rollback.
//!
//! Every step can be cut off and done again: admission is stopped by a fence that only the same
//! epoch opens, and a new attempt starts with a higher one.

use super::{
    Recovery, RecoveryError,
    operator::DEAD_LETTERS,
    snapshot::{Loaded, Snapshot},
    sources::{Pending, Sources},
};
use crate::admission::{AdmissionError, Fence, Opening, RebuildStep};
use crate::broker::DeadLetters;
use crate::domain::{ProductId, Purchase};
use crate::ledger::{Leadership, LedgerError, LedgerSale, RaisedEpoch};
use crate::observability::EventKind;
use crate::runtime::{crash_points::crash_point, error_chain};
use crate::worker::{Mode, RebuildEpochs, Rebuilding, Recorder};

/// Tries at stopping a sale whose state claims a later epoch than the ledger's: the second
/// one is above it.
const FENCES_MAX: usize = 3;

/// A sale whose admission is stopped, to be opened under a new epoch.
struct Stopped {
    product: ProductId,
    epoch: u64,
    /// The latest epoch that was open, as the ledger knows.
    opened_epoch: u64,
}

impl Recovery {
    /// Rebuilds products, each with the reason why, and lets the workers go on in any case.
    pub(super) async fn rebuild(
        &mut self,
        leader: &mut dyn Leadership,
        broken: Vec<(LedgerSale, String)>,
    ) -> Result<(), RecoveryError> {
        let mut stopped = Vec::new();
        for (sale, reason) in broken {
            let product = sale.product.clone();
            match self.stop(&sale, &reason).await {
                Ok(sale) => stopped.push(sale),
                Err(error) => self.note(&product, Err(error)),
            }
        }
        if stopped.is_empty() {
            return Ok(());
        }
        let rebuilt = self.drain_and_open(leader, &stopped).await;
        match &rebuilt {
            Ok(()) => self.requests.withdraw(DEAD_LETTERS),
            Err(RecoveryError::Broker(error)) => self.note_dead_letters(error),
            Err(_) => {}
        }
        leader.resume_workers().await?;
        self.holds_workers = false;
        for Stopped { product, .. } in &stopped {
            let outcome = match &rebuilt {
                Ok(()) => Ok(()),
                Err(error) => Err(RecoveryError::NotRebuilt(error_chain(error))),
            };
            self.note(product, outcome);
        }
        rebuilt
    }

    /// Stops a sale's admission under a new epoch, and fences the earlier one at the broker.
    async fn stop(&mut self, sale: &LedgerSale, reason: &str) -> Result<Stopped, RecoveryError> {
        let LedgerSale { product, .. } = sale;
        if !self.failures.contains_key(product) {
            tracing::info!(%product, "rebuilding admission from the ledger: {reason}");
            self.telemetry.events.note(EventKind::RebuildBegan, product.as_str(), reason);
        }
        // A ledger that was restored is behind what this process has seen.
        let mut found = self.stores.admission.seen_epoch(product);
        for _ in 0..FENCES_MAX {
            let RaisedEpoch { epoch, opened_epoch } = self.stores.ledger.raise_epoch(product, found).await?;
            crash_point!("rebuild-after-epoch");
            match self.stores.admission.fence(product, epoch).await? {
                Fence::Stopped => {
                    self.unbind(product).await?;
                    return Ok(Stopped { product: product.clone(), epoch, opened_epoch });
                }
                // The ledger is behind admission: it was restored.
                Fence::Later(later) => found = later,
            }
        }
        Err(RecoveryError::NotStopped(found))
    }

    async fn drain_and_open(
        &mut self,
        leader: &mut dyn Leadership,
        stopped: &[Stopped],
    ) -> Result<(), RecoveryError> {
        crash_point!("rebuild-after-fence");
        if self.stores.admission.outlives_process() {
            self.check_queue().await?;
        }
        self.holds_workers = true;
        leader.pause_workers().await?;
        crash_point!("rebuild-after-pause");
        // Also what no store remembers to have been open may be in the queue: the ledger may be
        // restored to an earlier state, and admission lost.
        if !self.stores.admission.outlives_process() {
            return self.open_all(leader, stopped, Pending::new()).await;
        }
        // Before the queue is drained, and until the sales are open: a letter that is replayed
        // after the drain, or discarded meanwhile, would be in none of the sources.
        let mut letters = self.stores.broker.dead_letters().await?;
        let opened = self.take_over_and_open(leader, stopped, letters.as_deref_mut()).await;
        if let Some(letters) = letters {
            letters.close().await;
        }
        opened
    }

    async fn take_over_and_open(
        &mut self,
        leader: &mut dyn Leadership,
        stopped: &[Stopped],
        letters: Option<&mut (dyn DeadLetters + 'static)>,
    ) -> Result<(), RecoveryError> {
        self.note_step(stopped, RebuildStep::WaitingForAnswers).await?;
        self.settle_queue().await?;
        self.note_step(stopped, RebuildStep::Draining).await?;
        let epochs = |sale: &Stopped| RebuildEpochs { valid_from: sale.opened_epoch, rebuild: sale.epoch };
        let rebuilding =
            Rebuilding::new(stopped.iter().map(|sale| (sale.product.clone(), epochs(sale))).collect());
        let (stores, telemetry) = (self.stores.clone(), self.telemetry.clone());
        let recorder = Recorder { stores, telemetry, mode: Mode::Rebuilding(rebuilding.clone()) };
        self.drain(&recorder).await?;
        crash_point!("rebuild-before-letters");
        let letters = letters.map(|letters| letters as &mut dyn DeadLetters);
        let sources = Sources::read(recorder, &rebuilding, letters).await?;
        let pending = sources.take_over(rebuilding.products()).await?;
        crash_point!("rebuild-after-drain");
        self.open_all(leader, stopped, pending).await
    }

    /// `pending`: the dead-lettered purchases that keep their units.
    async fn open_all(
        &mut self,
        leader: &mut dyn Leadership,
        stopped: &[Stopped],
        mut pending: Pending,
    ) -> Result<(), RecoveryError> {
        self.note_step(stopped, RebuildStep::Loading).await?;
        let mut ended = Ok(());
        for sale in stopped {
            let pending = pending.remove(&sale.product).unwrap_or_default();
            if let Err(error) = self.open(leader, sale, pending).await {
                // What is left of the snapshot would expire by itself, but late.
                let _ = self.stores.admission.unstage(&sale.product, sale.epoch).await;
                ended = Err(error);
            }
        }
        ended
    }

    /// Publishes the rebuild's progress, which is the answer to why these sales are not ready.
    async fn note_step(&self, stopped: &[Stopped], step: RebuildStep) -> Result<(), AdmissionError> {
        for Stopped { product, epoch, .. } in stopped {
            self.stores.admission.note_step(product, *epoch, step).await?;
        }
        Ok(())
    }

    /// Loads the ledger's snapshot, which is whole only while the workers stand aside,
    /// and opens the sale.
    async fn open(
        &mut self,
        leader: &mut dyn Leadership,
        stopped: &Stopped,
        pending: Vec<Purchase>,
    ) -> Result<(), RecoveryError> {
        let Stopped { product, epoch, .. } = stopped;
        let started = self.runtime.instant();
        let snapshot = Snapshot { admission: &*self.stores.admission, product, epoch: *epoch };
        let Loaded { buyers, free, totals } = snapshot.load(&*self.stores.ledger, pending).await?;
        crash_point!("rebuild-after-stage");
        self.stores.admission.note_step(product, *epoch, RebuildStep::Opening).await?;
        let sales = self.stores.ledger.sales().await?;
        let sale = sales.into_iter().find(|sale| sale.product == *product);
        let terms = sale.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?.terms;
        leader.check().await?;
        // While the broker can't be reached, this is left to the first round after that.
        self.bind(&[(product.clone(), *epoch)]).await;
        crash_point!("rebuild-after-bind");
        if !self.stores.ledger.note_opening(product, *epoch).await? {
            return Err(RecoveryError::NotOpened(Opening::Stale));
        }
        crash_point!("rebuild-before-open");
        match self.stores.admission.open(product, *epoch, &terms, totals).await? {
            Opening::Open => {
                crash_point!("rebuild-after-open");
                let elapsed_ms = (self.runtime.instant() - started).as_millis();
                tracing::info!(%product, epoch, buyers, free, elapsed_ms, "the sale is ready");
                let text = format!("ready under epoch {epoch}, with {buyers} purchases");
                self.telemetry.events.note(EventKind::RebuildEnded, product.as_str(), text);
                Ok(())
            }
            refused => Err(RecoveryError::NotOpened(refused)),
        }
    }
}

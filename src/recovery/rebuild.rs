//! Makes a product's admission state from the ledger. Nothing else writes that state as a whole:
//! not at the first preparation, not after a loss, not after a rollback.
//!
//! Every step can be cut off and done again: admission is stopped by a fence that only the same
//! epoch opens, and a new attempt starts with a higher one.

use super::{Recovery, RecoveryError};
use crate::admission::{Admission, AdmissionError, Fence, Opening, RebuildStep};
use crate::domain::ProductId;
use crate::ledger::{Leadership, Ledger, LedgerError, LedgerSale};
use crate::observability::EventKind;
use crate::runtime::{crash_points::crash_point, error_chain};
use crate::worker::RebuildEpochs;

/// Rows read and staged at a time.
const PAGE: u32 = 2_000;

/// Tries at stopping a sale whose state claims a later epoch than the ledger's: the second
/// one is above it.
const FENCES_MAX: usize = 3;

/// A sale whose admission is stopped, to be opened under a new epoch.
struct Stopped {
    product: ProductId,
    epoch: u64,
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
        leader.resume_workers().await?;
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
        let LedgerSale { product, opened_epoch, .. } = sale;
        if !self.failures.contains_key(product) {
            tracing::info!(%product, "rebuilding admission from the ledger: {reason}");
            self.telemetry.events.note(EventKind::RebuildBegan, product.as_str(), reason);
        }
        // What the ledger has let sell, and what admission claims to sell.
        let mut fenced: Vec<_> = (*opened_epoch > 0).then_some(*opened_epoch).into_iter().collect();
        let mut found = 0;
        for _ in 0..FENCES_MAX {
            let epoch = self.stores.ledger.raise_epoch(product, found).await?;
            crash_point!("rebuild-after-epoch");
            match self.stores.admission.fence(product, epoch).await? {
                Fence::Stopped => {
                    if !fenced.is_empty() {
                        let fenced: Vec<_> = fenced.iter().map(|epoch| (product.clone(), *epoch)).collect();
                        self.unbind(&fenced).await?;
                    }
                    return Ok(Stopped { product: product.clone(), epoch, opened_epoch: *opened_epoch });
                }
                // The ledger is younger than admission: it was restored, or made anew.
                Fence::Later(later) => {
                    found = later;
                    fenced.push(later);
                }
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
        leader.pause_workers().await?;
        crash_point!("rebuild-after-pause");
        // A sale that was never open has nothing on its way.
        if stopped.iter().any(|sale| sale.opened_epoch > 0) && self.stores.admission.outlives_process() {
            self.note_step(stopped, RebuildStep::WaitingForAnswers).await?;
            self.settle_queue().await?;
            self.note_step(stopped, RebuildStep::Draining).await?;
            let epochs = |sale: &Stopped| RebuildEpochs { opened: sale.opened_epoch, rebuild: sale.epoch };
            let products = stopped.iter().map(|sale| (sale.product.clone(), epochs(sale))).collect();
            self.drain(products).await?;
        }
        crash_point!("rebuild-after-drain");
        self.note_step(stopped, RebuildStep::Loading).await?;
        let mut ended = Ok(());
        for sale in stopped {
            if let Err(error) = self.open(leader, sale).await {
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
    async fn open(&mut self, leader: &mut dyn Leadership, stopped: &Stopped) -> Result<(), RecoveryError> {
        let Stopped { product, epoch, .. } = stopped;
        let started = self.runtime.instant();
        let Loaded { buyers, free } =
            load(&*self.stores.ledger, &*self.stores.admission, product, *epoch).await?;
        crash_point!("rebuild-after-stage");
        self.stores.admission.note_step(product, *epoch, RebuildStep::Opening).await?;
        let revoked = !self.stores.ledger.revocations(product).await?.is_empty();
        let sales = self.stores.ledger.sales().await?;
        let sale = sales.into_iter().find(|sale| sale.product == *product);
        let terms = sale.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?.terms;
        leader.check().await?;
        // Where the broker is away, the first round after its return binds the epoch.
        self.bind(&[(product.clone(), *epoch)]).await;
        if !self.stores.ledger.note_opening(product, *epoch).await? {
            return Err(RecoveryError::NotOpened(Opening::Stale));
        }
        crash_point!("rebuild-before-open");
        match self.stores.admission.open(product, *epoch, &terms, buyers + free, revoked).await? {
            Opening::Open => {
                crash_point!("rebuild-after-open");
                tracing::info!(%product, epoch, buyers, free, elapsed = ?(self.runtime.instant() - started), "the sale is ready");
                let text = format!("ready under epoch {epoch}, with {buyers} purchases");
                self.telemetry.events.note(EventKind::RebuildEnded, product.as_str(), text);
                Ok(())
            }
            refused => Err(RecoveryError::NotOpened(refused)),
        }
    }
}

struct Loaded {
    buyers: u32,
    /// Units below the highest sold one that nobody has.
    free: u32,
}

async fn load(
    ledger: &dyn Ledger,
    admission: &dyn Admission,
    product: &ProductId,
    epoch: u64,
) -> Result<Loaded, RecoveryError> {
    let mut loaded = Loaded { buyers: 0, free: 0 };
    let mut last = 0;
    loop {
        let page = ledger.purchases(product, last, PAGE).await?;
        if page.is_empty() {
            return Ok(loaded);
        }
        let mut free = Vec::new();
        for purchase in &page {
            free.extend(last + 1..purchase.unit);
            last = purchase.unit;
            loaded.buyers += 1;
        }
        loaded.free += u32::try_from(free.len()).unwrap_or(u32::MAX);
        // A gap may be long; a script's arguments must not be.
        let mut parts = free.chunks(PAGE as usize);
        admission.stage(product, epoch, &page, parts.next().unwrap_or(&[])).await?;
        for part in parts {
            admission.stage(product, epoch, &[], part).await?;
        }
    }
}

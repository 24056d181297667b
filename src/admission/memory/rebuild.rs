//! Rebuilds on the state machine of a sale.

use async_trait::async_trait;

use super::{MemoryAdmission, SERVER};
use crate::admission::{
    AdmissionError, Contents, Fence, Horizon, Opening, Rebuild, RebuildStep, SnapshotTotals, StagedPart,
    Watermark,
};
use crate::domain::{ProductId, Terms};

#[async_trait]
impl Rebuild for MemoryAdmission {
    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        Ok(self.with(product, |sale, _| sale.contents()))
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
}

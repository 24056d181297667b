//! How a new admission state is made from the ledger (fence, stage, open), and which epochs this
//! process has seen.

use async_trait::async_trait;

use super::{AdmissionError, Contents, Fence, Opening, RebuildStep, SnapshotTotals, StagedPart};
use crate::domain::{ProductId, Terms};

/// The operations of a rebuild. Between fence and opening nothing is admitted.
#[async_trait]
pub trait Rebuild: Send + Sync {
    /// Reads all winners, ordered by unit, who may not buy any more, and the returned units, in
    /// whichever state the sale is.
    /// Read page by page: the answer is a snapshot only while nobody buys. What this program did
    /// not write is left out.
    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError>;

    /// Stops admission until [`Rebuild::open`] with the same epoch: the first step of a rebuild.
    /// Winners and outbox are kept. An epoch stops a sale once, and is above each epoch that a
    /// process has seen when it found the state to be rolled back.
    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError>;

    /// Records the progress of the rebuild under `epoch`, if its fence stands.
    /// [`AdmissionError::Rebuilding`] tells it.
    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError>;

    /// Adds a part of the snapshot to what [`Rebuild::open`] will put in place; each part once.
    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError>;

    /// Deletes what was staged for `epoch`, after a rebuild that did not succeed.
    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError>;

    /// Puts the staged snapshot in place under `epoch`, whose fence must stand. The snapshot must
    /// be as large as `totals` says.
    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError>;

    /// The epoch that a new state of the sale must be above, to lack nothing of
    /// what this process knows.
    fn seen_epoch(&self, product: &ProductId) -> u64;

    /// Learns the ledger's latest epoch, and the latest one that was opened: from now on this
    /// process uses no state of an earlier epoch than `raised`. A state of an earlier one than
    /// `opened` is a former one, which the sale has left.
    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64);
}

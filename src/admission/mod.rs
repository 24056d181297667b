//! Admission decides who gets a unit, in one atomic step, and remembers the winner until the ledger
//! has the purchase.
//!
//! [`Admission`] has two implementations with one behaviour: [`RedisAdmission`], where every
//! operation is one Lua script, and [`MemoryAdmission`] for the embedded mode. One conformance
//! suite runs the same cases on both.

mod error;
mod memory;
mod redis;
mod watermarks;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId};

pub use error::AdmissionError;
pub use memory::MemoryAdmission;
pub use redis::{Connections, Connector, InUse, Keys, Link, RedisAdmission, RedisOptions, Scripts, scripts};

pub use crate::domain::sale::{
    Contents, Decision, Fence, Found, Horizon, Opening, Reassignment, RebuildStep, SnapshotTotals,
    StagedPart, Watermark, WithdrawnUnit,
};

/// Everything that changes or reads a sale's admission state.
///
/// Every operation is atomic (but for reads in pages, which say so) and idempotent: repeating one,
/// with the same arguments, is safe at any time, also when the first answer was lost. Exceptions
/// are [`Admission::stage`], once a part, and [`Admission::fence`], once an epoch. An operation
/// that fails has had no effect, unless the error [is unknown](AdmissionError::is_unknown). Units
/// are numbers of `1..=total_stock`.
///
/// `admit`, `sale`, `find`, `reassign`, `withdraw`, `cancel`, `bar` and `rename` use no state that
/// is behind what this process knows of the sale: they answer [`AdmissionError::NotReady`]. Where a
/// later state was seen, or opened, they also end its use for every process.
///
/// A state belongs to the system that fenced or opened it. To any other system, every operation
/// that is not a mere read of the outbox or the contents answers [`AdmissionError::OtherSystem`].
#[async_trait]
pub trait Admission: Debug + Send + Sync {
    /// Decides one attempt; `id` becomes the purchase's if the user wins.
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError>;

    /// Reads the sale as it stands.
    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError>;

    /// Reads a user's purchase.
    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError>;

    /// Reads outbox entries after `after` and up to `up_to` inclusive, oldest first, at most
    /// `limit`.
    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError>;

    /// Reads all winners, ordered by unit, who may not buy any more, and the returned units, in
    /// whichever state the sale is.
    /// Read page by page: the answer is a snapshot only while nobody buys. What this program did
    /// not write is left out.
    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError>;

    /// Deletes the outbox entries of purchases that the ledger has. `entries` are of one product
    /// and epoch; those of another epoch than the sale's are left alone.
    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError>;

    /// Deletes the outbox entries of purchases that the dead-letter queue has, and counts them as
    /// dead-lettered: they stay pending. `entries` as for [`Admission::settle`].
    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError>;

    /// Takes the admission of a purchase back. `stands`: the user's purchase in the ledger, if
    /// there is one; if not, this one is revoked. `unit`: what becomes of its unit.
    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError>;

    /// Gives a purchase a unit again: the one that it names, if `may_keep` and that unit is free,
    /// or else the lowest free one.
    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError>;

    /// Makes a winner of the owner of a unit in the ledger, unless that user has a purchase here.
    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError>;

    /// Puts a winner's purchase into the outbox again. False: there is no such winner, or
    /// the entry is there.
    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError>;

    /// Takes a purchase out of the sale that the ledger has as cancelled. Its unit is withheld, or
    /// returns; its user may buy again, or the right is used up. False: there is no such purchase,
    /// or it is cancelled here.
    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError>;

    /// Uses up the rights of users who bought elsewhere, unless they have a purchase here.
    /// `earlier` are of one product, and have no unit.
    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError>;

    /// Gives what a user has to another name, which must be new. False: a purchase of the user is
    /// still on its way under the present name, or the other name is not new.
    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError>;

    /// Changes the terms of a running sale. False: the sale is of another epoch, or more units are
    /// handed out than the new total.
    async fn configure(&self, product: &ProductId, epoch: u64, terms: &Terms)
    -> Result<bool, AdmissionError>;

    /// Stops admission until [`Admission::open`] with the same epoch: the first step of a rebuild.
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

    /// Adds a part of the snapshot to what [`Admission::open`] will put in place; each part once.
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

    /// The epoch that a new state of the sale must be above, to lack nothing of what this process
    /// knows.
    fn seen_epoch(&self, product: &ProductId) -> u64;

    /// Learns the ledger's latest epoch, and the latest one that was opened: from now on this
    /// process uses no state of an earlier epoch than `raised`. A state of an earlier one than
    /// `opened` is a former one, which the sale has left.
    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64);

    /// The same admission with resources of its own for the calling server thread, where
    /// that makes it faster.
    fn on_this_thread(&self) -> Arc<dyn Admission>;

    /// Whether an admission outlives this process, so that SUCCESS may be answered before
    /// the broker has it.
    fn outlives_process(&self) -> bool;
}

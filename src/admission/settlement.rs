//! What becomes of a purchase after it was admitted: the outbox, and the conflicts of units.

use async_trait::async_trait;

use super::{AdmissionError, Reassignment, WithdrawnUnit};
use crate::domain::{Entry, EntryId, ProductId, Purchase};

/// The operations of the publisher, the sweeper and the worker on purchases that were admitted.
#[async_trait]
pub trait Settlement: Send + Sync {
    /// Reads outbox entries after `after` and up to `up_to` inclusive, oldest first, at most
    /// `limit`.
    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError>;

    /// Deletes the outbox entries of purchases that the ledger has. `entries` are of one product
    /// and epoch; those of another epoch than the sale's are left alone.
    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError>;

    /// Deletes the outbox entries of purchases that the dead-letter queue has, and counts them as
    /// dead-lettered: they stay pending. `entries` as for [`Settlement::settle`].
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
}

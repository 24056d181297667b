//! Which admission state may sell, and which process may rebuild it.

use async_trait::async_trait;
use diesel::QueryableByName;

use super::{Leadership, LedgerError, columns::Counter};
use crate::domain::ProductId;

/// An epoch that no admission state has had before, as far as the ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct RaisedEpoch {
    #[diesel(sql_type = Counter)]
    pub epoch: u64,
    /// See [`LedgerSale::opened_epoch`](super::LedgerSale::opened_epoch), at the same instant.
    #[diesel(sql_type = Counter)]
    pub opened_epoch: u64,
}

/// Keeps the epochs of products, and elects the leader.
#[async_trait]
pub trait EpochLedger: Send + Sync {
    /// Raises a product's epoch above its present one and above `found`: from now on no older
    /// admission state may sell.
    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError>;

    /// Records that admission is about to be opened with this epoch. False: it is not the
    /// product's any more.
    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError>;

    /// Whether workers may take messages: no rebuild is under way or waiting.
    async fn workers_may_run(&self) -> Result<bool, LedgerError>;

    /// Tries to become the one process that rebuilds and sweeps. `None`: another one leads.
    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError>;
}

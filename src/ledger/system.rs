//! Which system a ledger belongs to, and whether it can be used.

use async_trait::async_trait;
use diesel::{QueryableByName, sql_types::Text};

use super::{LedgerError, columns::Id};
use crate::domain::SystemId;

/// The system that a ledger belongs to.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct System {
    #[diesel(sql_type = Id)]
    pub id: SystemId,
    /// First part of the names of its Redis keys and queues.
    #[diesel(sql_type = Text)]
    pub prefix: String,
}

/// The database of a ledger as a whole.
#[async_trait]
pub trait SystemLedger: Send + Sync {
    /// Its name in logs and in the readiness answer.
    fn name(&self) -> &'static str;

    /// Applies the migrations that are missing, under a lock, and returns their number.
    async fn migrate(&self) -> Result<usize, LedgerError>;

    async fn ping(&self) -> Result<(), LedgerError>;

    /// Reads which system this is. A new ledger is given an id and this prefix; one that has
    /// another prefix keeps it.
    async fn system(&self, prefix: &str) -> Result<System, LedgerError>;

    /// Gives the system another prefix. Fails while a process of the system is connected.
    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError>;

    /// Commits a write that changes nothing: where it succeeds, a purchase could be recorded, as
    /// far as that does not depend on the purchases that are there.
    async fn probe_write(&self) -> Result<(), LedgerError>;
}

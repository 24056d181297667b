//! Leadership: one process at a time rebuilds, sweeps and reconciles.

use std::fmt::Debug;

use async_trait::async_trait;

use super::LedgerError;

/// The lead, for as long as [`Leadership::check`] succeeds. Dropping it gives the lead up.
#[async_trait]
pub trait Leadership: Debug + Send {
    /// Fails when the lead is lost.
    async fn check(&mut self) -> Result<(), LedgerError>;

    /// Waits until no worker is in a transaction, and keeps the workers out until
    /// [`Leadership::resume_workers`] or until the lead is lost. Fails after the lock timeout;
    /// repeating it is safe.
    async fn pause_workers(&mut self) -> Result<(), LedgerError>;

    /// Lets the workers go on.
    async fn resume_workers(&mut self) -> Result<(), LedgerError>;
}

/// The lead where there is no other process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoleLeader;

#[async_trait]
impl Leadership for SoleLeader {
    async fn check(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn pause_workers(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn resume_workers(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }
}

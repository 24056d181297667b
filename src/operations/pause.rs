//! Pausing a sale, and resuming it.

use super::Actor;
use crate::domain::ProductId;
use crate::ledger::{Ledger, LedgerError};

#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    #[error("there is no product {0} in the ledger")]
    UnknownProduct(ProductId),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Pauses a sale. Attempts are answered PAUSED once the process that leads the recovery has read
/// the ledger, within a second. The pause outlives restarts and rebuilds.
pub async fn pause(actor: &Actor, ledger: &dyn Ledger, product: &ProductId) -> Result<(), PauseError> {
    set_paused(ledger, product, true).await?;
    actor.has_changed("the sale is paused", product.as_str());
    Ok(())
}

/// Resumes a paused sale, as quickly as [`pause`].
pub async fn resume(actor: &Actor, ledger: &dyn Ledger, product: &ProductId) -> Result<(), PauseError> {
    set_paused(ledger, product, false).await?;
    actor.has_changed("the sale is resumed", product.as_str());
    Ok(())
}

async fn set_paused(ledger: &dyn Ledger, product: &ProductId, paused: bool) -> Result<(), PauseError> {
    let known = ledger.set_paused(product, paused).await?;
    if known { Ok(()) } else { Err(PauseError::UnknownProduct(product.clone())) }
}

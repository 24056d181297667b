//! Waiting until admission follows a decision.

use std::time::Duration;

use crate::ledger::{Ledger, LedgerError};
use crate::runtime::Runtime;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits until admission has followed a change. False: not within the timeout, because no leader is
/// running, the sale is being rebuilt, or a purchase of an erased user is still on its way.
pub async fn is_carried_over(
    ledger: &dyn Ledger,
    change: u64,
    timeout: Duration,
    runtime: &Runtime,
) -> Result<bool, LedgerError> {
    let deadline = runtime.instant() + timeout;
    while ledger.change_is_due(change).await? {
        if runtime.instant() >= deadline {
            return Ok(false);
        }
        runtime.sleep(POLL_INTERVAL).await;
    }
    Ok(true)
}

//! What a command says at its end.

use std::time::Duration;

use crate::ledger::Ledger;
use crate::operations::purchases::is_carried_over;
use crate::runtime::{Runtime, output};

/// The leader carries a decision over within a second.
const CARRIED_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Prints what was decided, once the sale follows it; or that it does not yet.
pub(super) async fn conclude(ledger: &dyn Ledger, text: String, change: Option<u64>) -> anyhow::Result<()> {
    let follows = match change {
        Some(change) => is_carried_over(ledger, change, CARRIED_OVER_WITHIN, &Runtime::system()).await?,
        None => true,
    };
    output::print(&text).await;
    if !follows {
        output::print(
            "decided in the database; the sale follows as soon as a worker (flashsale work, or the embedded serve) \
             runs, and what is in flight is recorded",
        )
        .await;
    }
    Ok(())
}

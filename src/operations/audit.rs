//! Auditing a sale after its purchases are recorded.

use std::time::Duration;

use super::Actor;
use crate::audit::{self, GatherError, History, Report, Sources};
use crate::domain::ProductId;
use crate::runtime::Runtime;

/// Waits up to `timeout` until no purchase is in flight and every promise of the history is kept,
/// reads the stores, and judges.
pub async fn audit(
    actor: &Actor,
    sources: &Sources,
    product: &ProductId,
    history: Option<&History>,
    timeout: Duration,
    runtime: &Runtime,
) -> Result<Report, GatherError> {
    actor.reads("audit", product.as_str());
    sources.settle(product, history, timeout, runtime).await?;
    Ok(audit::audit(&sources.gather(product).await?, history))
}

//! Keeps the state of the ledger true while nothing else uses it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::observability::{Dependency, Outage};
use crate::runtime::{Runtime, error_chain};

const INTERVAL: Duration = Duration::from_secs(1);
/// A busy pool hands out a connection within this time.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the ledger once a second, until `stop`. An outage that a write has met is ended by a write:
/// by a worker's commit, or by one of this task once no worker repeats a failed one.
pub async fn watch_ledger(
    ledger: Arc<dyn Ledger>,
    state: Dependency,
    runtime: Runtime,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let writes = state.needs_write();
        let probing = async { if writes { ledger.probe_write().await } else { ledger.ping().await } };
        match runtime.timeout(TIMEOUT, probing).await {
            Some(Ok(())) if writes => state.up(),
            Some(Ok(())) => state.reached(),
            Some(Err(error)) => state.down(error.outage(), error_chain(&error)),
            None => state.down(Outage::NoAnswer, format!("none within {} s", TIMEOUT.as_secs())),
        }
        tokio::select! {
            () = runtime.sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
}

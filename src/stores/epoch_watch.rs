//! Tells admission which epochs are over.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Stores;
use crate::admission::Admission;
use crate::ledger::Ledger;
use crate::runtime::{Runtime, error_chain};

/// Between two reads of the ledger. A rebuild takes longer from raising the epoch to opening it, so
/// that no buyer is shown the earlier state beside the later one, where the ledger can be reached.
const INTERVAL: Duration = Duration::from_millis(250);
/// As above, where each attempt gives a reason to read.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(1);

/// A process can have a connection to an admission state that was replaced elsewhere, such as that
/// of a former primary. Nothing in that state shows it; the ledger does. Clones share everything.
#[derive(Clone, Debug)]
pub struct EpochWatch {
    admission: Arc<dyn Admission>,
    ledger: Arc<dyn Ledger>,
    suspected: Arc<Notify>,
    runtime: Runtime,
}

impl EpochWatch {
    pub fn new(stores: &Stores, runtime: &Runtime) -> Self {
        let Stores { admission, ledger, .. } = stores.clone();
        Self { admission, ledger, suspected: Arc::default(), runtime: runtime.clone() }
    }

    /// The broker has fenced what admission let through: asks the ledger soon.
    pub fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.suspected.notified() => self.runtime.sleep(INTERVAL_MIN).await,
                () = self.runtime.sleep(INTERVAL) => {}
            }
            match self.runtime.timeout(TIMEOUT, self.ledger.sales()).await {
                Some(Ok(sales)) => {
                    for sale in sales {
                        self.admission.raise_watermark(&sale.product, sale.epoch, sale.opened_epoch);
                    }
                }
                Some(Err(error)) => tracing::debug!(error = error_chain(&error), "epochs are not read"),
                None => tracing::debug!("epochs are not read: no answer in time"),
            }
        }
    }
}

//! After the broker has fenced a purchase: whether the state that admitted it may still sell.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::admission::Admission;
use crate::domain::ProductId;
use crate::ledger::Ledger;
use crate::runtime::{Runtime, error_chain};

const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the ledger which epoch sells. A process whose connection to admission leads to a state that
/// was replaced, such as that of a former primary, learns it here and stops selling. Clones share
/// everything.
#[derive(Clone, Debug)]
pub(super) struct EpochCheck {
    admission: Arc<dyn Admission>,
    ledger: Arc<dyn Ledger>,
    runtime: Runtime,
    under_way: Arc<Mutex<()>>,
}

impl EpochCheck {
    pub(super) fn new(admission: Arc<dyn Admission>, ledger: Arc<dyn Ledger>, runtime: Runtime) -> Self {
        Self { admission, ledger, runtime, under_way: Arc::default() }
    }

    /// One check at a time: the broker may have lost its bindings, and then every attempt is here
    /// until the leader has restored them.
    pub(super) async fn run(&self, product: &ProductId, epoch: u64) {
        let Ok(_alone) = self.under_way.try_lock() else { return };
        match self.runtime.timeout(TIMEOUT, self.ledger.sales()).await {
            Some(Ok(sales)) => {
                let later = sales.into_iter().find(|sale| sale.product == *product && sale.epoch > epoch);
                if let Some(later) = later {
                    self.admission.raise_watermark(product, later.epoch);
                }
            }
            Some(Err(error)) => tracing::debug!(error = error_chain(&error), "the epoch is not checked"),
            None => tracing::debug!("the epoch is not checked: no answer from the ledger"),
        }
    }
}

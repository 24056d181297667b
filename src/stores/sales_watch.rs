//! Whether each sale has its admission state.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::LedgerCatalogue;
use crate::admission::Admission;
use crate::domain::ProductId;
use crate::observability::Outage;
use crate::observability::readiness::{Check, Probe, Subject};
use crate::runtime::Runtime;

const INTERVAL: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_millis(750);

/// A sale, and why it can't be read; `None`: it can.
type SaleState = (ProductId, Option<String>);

/// The latest read of each sale: at most a second old. Clones share it.
#[derive(Clone, Debug)]
pub struct SalesWatch {
    admission: Arc<dyn Admission>,
    catalogue: LedgerCatalogue,
    sales: Arc<Mutex<Vec<SaleState>>>,
    required: bool,
}

impl SalesWatch {
    /// `required`: whether the process can't work without them.
    pub fn new(admission: &Arc<dyn Admission>, catalogue: &LedgerCatalogue, required: bool) -> Self {
        let unread = |product: &ProductId| (product.clone(), Some("it has not been read yet".to_owned()));
        let sales = Arc::new(Mutex::new(catalogue.current().ids().map(unread).collect()));
        Self { admission: admission.clone(), catalogue: catalogue.clone(), sales, required }
    }

    /// Reads the sales until `stop`.
    pub async fn run(self, runtime: Runtime, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let catalogue = self.catalogue.current();
            let reads = join_all(catalogue.ids().map(|product| self.read(product, &runtime))).await;
            *self.sales() = catalogue.ids().cloned().zip(reads).collect();
            tokio::select! {
                () = runtime.sleep(INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn read(&self, product: &ProductId, runtime: &Runtime) -> Option<String> {
        match runtime.timeout(TIMEOUT, self.admission.sale(product)).await {
            Some(sale) => sale.err().map(|error| error.to_string()),
            None => Some(Outage::NoAnswer.to_string()),
        }
    }

    fn sales(&self) -> std::sync::MutexGuard<'_, Vec<SaleState>> {
        self.sales.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for SalesWatch {
    fn check(&self) -> Vec<Check> {
        let check = |(product, outage): &SaleState| Check {
            subject: Subject::Sale,
            name: format!("sale {product}"),
            outage: outage.clone(),
            required: self.required,
        };
        self.sales().iter().map(check).collect()
    }
}

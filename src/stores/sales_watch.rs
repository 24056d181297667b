//! Whether each sale has its admission state.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::LedgerCatalogue;
use crate::admission::{Admission, AdmissionError};
use crate::domain::ProductId;
use crate::observability::Outage;
use crate::observability::readiness::{Check, Probe, Subject};
use crate::runtime::Runtime;

const INTERVAL: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_millis(750);

/// What is known of a sale.
#[derive(Debug)]
struct SaleState {
    product: ProductId,
    /// Why it does not sell; `None`: it can be read, and no attempt was refused since.
    outage: Option<String>,
    /// An attempt was refused after the latest read had begun.
    is_refused: bool,
}

/// The latest read of each sale, at most a second old, and what attempts have met
/// since. Clones share it.
#[derive(Clone, Debug)]
pub struct SalesWatch {
    admission: Arc<dyn Admission>,
    catalogue: LedgerCatalogue,
    sales: Arc<Mutex<Vec<SaleState>>>,
}

/// The sales as a part of readiness.
#[derive(Debug)]
pub struct SalesProbe {
    pub watch: SalesWatch,
    /// Whether the process can't work without them.
    pub required: bool,
}

impl SalesWatch {
    pub fn new(admission: &Arc<dyn Admission>, catalogue: &LedgerCatalogue) -> Self {
        let unread = |product: &ProductId| SaleState {
            product: product.clone(),
            outage: Some("it has not been read yet".to_owned()),
            is_refused: false,
        };
        let sales = Arc::new(Mutex::new(catalogue.current().ids().map(unread).collect()));
        Self { admission: admission.clone(), catalogue: catalogue.clone(), sales }
    }

    /// An attempt met this: the sale is not ready from now on, until it is read again.
    pub fn refused(&self, product: &ProductId, error: &AdmissionError) {
        if let Some(sale) = self.sales().iter_mut().find(|sale| sale.product == *product) {
            (sale.outage, sale.is_refused) = (Some(error.to_string()), true);
        }
    }

    /// Reads the sales until `stop`.
    pub async fn run(self, runtime: Runtime, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let catalogue = self.catalogue.current();
            self.sales().iter_mut().for_each(|sale| sale.is_refused = false);
            let reads = join_all(catalogue.ids().map(|product| self.read(product, &runtime))).await;
            self.note(catalogue.ids().cloned().zip(reads));
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

    fn note(&self, reads: impl Iterator<Item = (ProductId, Option<String>)>) {
        let mut sales = self.sales();
        let mut refused = std::mem::take(&mut *sales);
        refused.retain(|sale| sale.is_refused);
        *sales = reads
            .map(|(product, outage)| {
                let later = refused.iter().position(|sale| sale.product == product);
                later.map_or(SaleState { product, outage, is_refused: false }, |at| refused.swap_remove(at))
            })
            .collect();
    }

    fn sales(&self) -> std::sync::MutexGuard<'_, Vec<SaleState>> {
        self.sales.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for SalesProbe {
    fn check(&self) -> Vec<Check> {
        let check = |sale: &SaleState| Check {
            subject: Subject::Sale,
            name: format!("sale {}", sale.product),
            outage: sale.outage.clone(),
            required: self.required,
        };
        self.watch.sales().iter().map(check).collect()
    }
}

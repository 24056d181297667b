//! Probes of the stores.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::admission::Admission;
use crate::domain::Catalogue;
use crate::ledger::Ledger;
use crate::observability::readiness::{Check, Probe, Subject};
use crate::runtime::Runtime;

const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the ledger answers.
#[derive(Debug)]
pub struct LedgerProbe {
    pub ledger: Arc<dyn Ledger>,
    pub required: bool,
    pub runtime: Runtime,
}

#[async_trait]
impl Probe for LedgerProbe {
    async fn check(&self) -> Vec<Check> {
        let outage = match self.runtime.timeout(PING_TIMEOUT, self.ledger.ping()).await {
            Some(Ok(())) => None,
            // Not the cause: a driver's text is for the log.
            Some(Err(error)) => Some(error.to_string()),
            None => Some("no answer".to_owned()),
        };
        let name = self.ledger.name().to_owned();
        vec![Check { subject: Subject::Service, name, outage, required: self.required }]
    }
}

/// Whether each sale has its admission state.
#[derive(Debug)]
pub struct SalesProbe {
    pub admission: Arc<dyn Admission>,
    pub catalogue: Catalogue,
    pub required: bool,
}

#[async_trait]
impl Probe for SalesProbe {
    async fn check(&self) -> Vec<Check> {
        let sales = self.catalogue.ids().map(async |product| {
            let outage = self.admission.sale(product).await.err().map(|error| error.to_string());
            Check { subject: Subject::Sale, name: format!("sale {product}"), outage, required: self.required }
        });
        join_all(sales).await
    }
}

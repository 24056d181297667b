//! Whether this process can do its work, dependency by dependency.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::admission::Admission;
use crate::domain::Catalogue;
use crate::ledger::Ledger;
use crate::observability::Dependency;
use crate::recovery::Drift;
use crate::runtime::error_chain;

/// Timeout of the query that each check sends to the ledger.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What a process depends on.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Each sale must have its admission state.
    pub admission: Arc<dyn Admission>,
    pub catalogue: Catalogue,
    pub ledger: Arc<dyn Ledger>,
    /// Connections to services, each with whether this process can work without it.
    pub dependencies: Vec<(Dependency, Requirement)>,
    /// A worker needs every service. Selling needs admission alone: during an outage of broker or ledger, purchases wait
    /// in the outbox; where the outbox does not outlive the process, selling needs the ledger too.
    pub needs_everything: bool,
    /// Of the scheduled comparison of admission and ledger, where one runs.
    pub drift: Option<Drift>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Admission can't be reached without it.
    ToSell,
    ToRecord,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Service,
    /// The admission state of a sale.
    Sale,
    /// The scheduled comparison of admission and ledger.
    Reconciliation,
    /// Of another version.
    #[serde(other)]
    Other,
}

/// The state of one dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub subject: Subject,
    pub name: String,
    /// Why the dependency is not ready; `None`: it is.
    pub outage: Option<String>,
    /// Whether this process can't work without it.
    pub required: bool,
}

impl Readiness {
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for (dependency, requirement) in &self.dependencies {
            let required = self.needs_everything || *requirement == Requirement::ToSell;
            let name = dependency.name().to_owned();
            checks.push(Check { subject: Subject::Service, name, outage: dependency.outage(), required });
        }
        let outage = match timeout(PING_TIMEOUT, self.ledger.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error_chain(&error)),
            Err(_elapsed) => Some("no answer".to_owned()),
        };
        let required = self.needs_everything || !self.admission.outlives_process();
        let name = self.ledger.name().to_owned();
        checks.push(Check { subject: Subject::Service, name, outage, required });
        let sales = self.catalogue.ids().map(async |product| {
            let outage = self.admission.sale(product).await.err().map(|error| error_chain(&error));
            let name = format!("sale {product}");
            Check { subject: Subject::Sale, name, outage, required: !self.needs_everything }
        });
        checks.extend(join_all(sales).await);
        for (product, differences) in self.drift.iter().flat_map(Drift::products) {
            let outage = Some(format!("admission and ledger differ in {differences} places"));
            let name = format!("reconciliation {product}");
            checks.push(Check { subject: Subject::Reconciliation, name, outage, required: false });
        }
        checks
    }
}

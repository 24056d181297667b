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

/// The ledger is asked anew at each question; it gets this long to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What a process depends on.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Asked whether each sale has its admission state.
    pub admission: Arc<dyn Admission>,
    /// Whose sales.
    pub catalogue: Catalogue,
    /// Asked whether it answers.
    pub ledger: Arc<dyn Ledger>,
    /// Connections, each with its state.
    pub dependencies: Vec<Dependency>,
    /// Selling needs admission alone: while broker or ledger are away, purchases wait in the outbox; where there is
    /// no outbox that outlives the process, it needs the ledger. A worker needs everything.
    pub needs_everything: bool,
    /// What the scheduled comparison of admission and ledger found, where one runs.
    pub drift: Option<Drift>,
}

/// What a line of the answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A service.
    Service,
    /// A sale's state in admission.
    Sale,
    /// What the scheduled comparison of admission and ledger has found.
    Reconciliation,
    /// Something that this version does not know of.
    #[serde(other)]
    Other,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is about.
    pub subject: Subject,
    /// The dependency's name.
    pub name: String,
    /// Why it is not ready; `None`: it is.
    pub outage: Option<String>,
    /// Whether this process can't work without it.
    pub required: bool,
}

impl Readiness {
    /// Checks everything.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for dependency in &self.dependencies {
            let required = self.needs_everything || dependency.name() == "redis";
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

//! Whether this process can do its work, check by check.

use std::{fmt::Debug, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Dependency;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Service,
    /// The admission state of a sale.
    Sale,
    /// The scheduled comparison of admission and ledger.
    Reconciliation,
    /// A queue that an operator must repair or delete.
    Queue,
    /// The catalogue file of a process.
    Catalogue,
    /// A subject of another version of this program.
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

/// Something that a process depends on.
pub trait Probe: Debug + Send + Sync {
    /// The state that the paths which read and write have left, or a task in the background: asking
    /// for it costs no store anything, however often it is done.
    fn check(&self) -> Vec<Check>;
}

/// All that a process depends on, in the order in which it is shown. Clones share the probes.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Vec<Arc<dyn Probe>>);

impl Readiness {
    #[must_use]
    pub fn with(mut self, probe: impl Probe + 'static) -> Self {
        self.0.push(Arc::new(probe));
        self
    }

    pub fn check(&self) -> Vec<Check> {
        self.0.iter().flat_map(|probe| probe.check()).collect()
    }

    /// Whether everything that is required is ready.
    pub fn is_ready(&self) -> bool {
        self.check().iter().all(|check| check.outage.is_none() || !check.required)
    }
}

/// The connection to a service.
#[derive(Debug)]
pub struct ServiceProbe {
    pub dependency: Dependency,
    pub required: bool,
}

impl Probe for ServiceProbe {
    fn check(&self) -> Vec<Check> {
        let (name, outage) = (self.dependency.name().to_owned(), self.dependency.outage());
        let outage = outage.map(|outage| outage.to_string());
        vec![Check { subject: Subject::Service, name, outage, required: self.required }]
    }
}

//! What needs an operator, and which command helps.

use serde::Serialize;

use super::snapshot::{DependencyView, ProductView, Snapshot};
use crate::domain::{Conservation, Phase};
use crate::observability::{Severity, readiness::Subject, registry::Role};

/// A poll takes place every second and waits at most two seconds for the stores.
const STALE_AFTER_MS: i64 = 8_000;
/// A purchase is swept after 5 s; an older one is late.
const OUTBOX_AGE_LATE_MS: u64 = 10_000;
/// The longest time from a SUCCESS to its row while all parts are healthy.
const OUTBOX_AGE_MAX_MS: u64 = 60_000;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) text: String,
}

/// The most serious first. `now`: in milliseconds since 1970.
pub(super) fn findings(snapshot: &Snapshot, now: i64) -> Vec<Finding> {
    let mut found = Findings::default();
    let age = now.saturating_sub(snapshot.at);
    if age > STALE_AFTER_MS {
        found.error(format!("these figures are {} s old: this process can't keep up", age / 1_000));
    }
    snapshot.products.iter().for_each(|product| found.product(product));
    found.processes(snapshot);
    snapshot.dependencies.iter().for_each(|dependency| found.dependency(dependency));
    found.dead_letters(snapshot);
    let Findings(mut findings) = found;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn warning(&mut self, text: String) {
        self.0.push(Finding { severity: Severity::Warning, text });
    }

    fn error(&mut self, text: String) {
        self.0.push(Finding { severity: Severity::Error, text });
    }

    fn product(&mut self, product: &ProductView) {
        let ProductView { id, conservation, adds_up, trouble, outbox_age_ms, .. } = product;
        match (conservation, adds_up) {
            (Some(law), Some(false)) => self.error(format!("{id}: {}", law.difference())),
            (Some(_), None) if trouble.is_none() => {
                self.warning(format!("{id}: the units did not add up, and are being counted again"));
            }
            _ => {}
        }
        match (trouble, product.phase) {
            // Without a phase nobody can buy.
            (Some(trouble), None) => self.error(format!("{id}: {trouble}")),
            (Some(trouble), Some(_)) => self.warning(format!("{id}: {trouble}")),
            (None, _) => {}
        }
        if product.phase == Some(Phase::Paused) {
            self.warning(format!("{id} is paused, until flashsale resume --product {id}"));
        }
        let is_unsold = |law: &Conservation| law.remaining == law.total_stock;
        if product.phase == Some(Phase::Ended) && conservation.as_ref().is_some_and(is_unsold) {
            self.warning(format!(
                "{id}: the sale is over and nothing was sold; if it should sell, change its sale_end: flashsale \
                 products apply FILE"
            ));
        }
        let age = outbox_age_ms.unwrap_or(0);
        let late = format!("{id}: a purchase has been in flight for {} s", age / 1_000);
        match age {
            OUTBOX_AGE_MAX_MS.. => self.error(late),
            OUTBOX_AGE_LATE_MS.. => self.warning(late),
            _ => {}
        }
    }

    fn processes(&mut self, snapshot: &Snapshot) {
        if let Some(trouble) = &snapshot.trouble {
            return self.warning(trouble.clone());
        }
        if snapshot.processes.is_empty() {
            return self.warning("no process has reported yet".to_owned());
        }
        let is_up = |role| snapshot.processes.iter().any(|process| process.role == role && process.is_up);
        if !is_up(Role::Serve) {
            self.error("no API process is up, so the API sells nothing: start flashsale serve".to_owned());
        }
        if !snapshot.embedded && !is_up(Role::Work) {
            self.error("no worker is up, so purchases wait in the queue: start flashsale work".to_owned());
        }
        for process in snapshot.processes.iter().filter(|process| !process.is_up) {
            self.warning(format!("{} has been silent for {} s", process.name, process.silent_ms / 1_000));
        }
    }

    fn dependency(&mut self, dependency: &DependencyView) {
        let DependencyView { subject, name, used_by, outages } = dependency;
        let Some(first) = outages.first() else { return };
        let (number, reason) = (outages.len(), &first.reason);
        match subject {
            Subject::Service | Subject::Sale | Subject::Other => {
                self.warning(format!("{name} is not ready in {number} of {used_by} processes: {reason}"));
            }
            Subject::Catalogue => {
                self.warning(format!("{name} of {number} processes: {reason}; run flashsale products apply"));
            }
            Subject::Queue => self.error(format!("{name}: {reason}")),
            Subject::Reconciliation => self.error(format!("{name}: {reason}; run flashsale reconcile")),
        }
    }

    fn dead_letters(&mut self, snapshot: &Snapshot) {
        let missing = snapshot.dead_letters_missing;
        if missing > 0 {
            self.error(format!(
                "dead letters that are not in their queue any more: {missing}; run flashsale audit"
            ));
        }
        if let Some(dead) = snapshot.queue.map(|queue| queue.dead).filter(|dead| *dead > 0) {
            self.warning(format!(
                "dead letters that wait for a decision: {dead}; run flashsale dead-letters list"
            ));
        }
    }
}

//! The verdict on a snapshot: what needs an operator, the most serious first.

use serde::Serialize;

use super::snapshot::{DependencyView, ProductView, Snapshot};
use crate::observability::{Severity, readiness::Subject, registry::Role};

/// A poll takes place every second and waits at most two seconds for the stores.
const STALE_AFTER_MS: i64 = 8_000;
/// A purchase is swept after 5 s; an older one is late.
const OUTBOX_AGE_LATE_MS: u64 = 10_000;
/// The longest time from a SUCCESS to its row while all parts are healthy.
const OUTBOX_AGE_MAX_MS: u64 = 60_000;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// The highest of the findings.
    pub(super) severity: Severity,
    pub(super) text: &'static str,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) text: String,
}

impl Verdict {
    /// `now`: in milliseconds since 1970.
    pub(super) fn new(snapshot: &Snapshot, now: i64) -> Self {
        if snapshot.at == 0 {
            let text = "The stores are being read for the first time";
            return Self { severity: Severity::Warning, text, findings: Vec::new() };
        }
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
        let severity = findings.first().map_or(Severity::Info, |finding| finding.severity);
        let text = match severity {
            Severity::Info => "All is well: every unit is accounted for",
            Severity::Warning => "Something needs attention",
            Severity::Error => "Something is wrong",
        };
        Self { severity, text, findings }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::Depths,
        console::snapshot::{Outage, ProcessView, Totals},
        domain::{Conservation, Phase},
    };

    fn process(role: Role) -> ProcessView {
        ProcessView {
            name: role.as_str().to_owned(),
            role,
            version: String::new(),
            started_at: 0,
            silent_ms: 0,
            is_up: true,
            is_ready: true,
            attempts_per_s: 0.0,
            checks: Vec::new(),
        }
    }

    fn healthy() -> Snapshot {
        let product = ProductView {
            id: "p".to_owned(),
            name: "P".to_owned(),
            phase: Some(Phase::Active),
            trouble: None,
            opens_at: None,
            closes_at: None,
            remaining: Some(5),
            in_flight: Some(0),
            outbox_age_ms: Some(0),
            conservation: Some(Conservation::default()),
            counted_at: Some(0),
            adds_up: Some(true),
            totals: Totals::default(),
        };
        let processes = [Role::Serve, Role::Work, Role::Web].map(process).to_vec();
        let queue = Some(Depths { purchases: 0, dead: 0 });
        Snapshot { at: 1_000, products: vec![product], processes, queue, ..Snapshot::default() }
    }

    fn outage(subject: Subject) -> DependencyView {
        let outages = vec![Outage { process: "a".to_owned(), reason: "r".to_owned() }];
        DependencyView { subject, name: "redis".to_owned(), used_by: 3, outages }
    }

    /// A fault, the severity that follows, and a part of the finding.
    type Case = (fn(&mut Snapshot), Severity, &'static str);

    #[test]
    fn each_fault_has_its_severity_and_its_finding() {
        use Severity::{Error, Warning};
        assert_eq!(Verdict::new(&healthy(), 2_000).severity, Severity::Info);
        let cases: [Case; 16] = [
            (|seen| seen.products[0].adds_up = None, Warning, "counted again"),
            (|seen| seen.products[0].adds_up = Some(false), Error, "admitted purchases are neither"),
            (|seen| seen.products[0].trouble = Some("why".to_owned()), Warning, "p: why"),
            (
                |seen| {
                    seen.products[0].trouble = Some("why".to_owned());
                    seen.products[0].phase = None;
                },
                Error,
                "p: why",
            ),
            (|seen| seen.products[0].outbox_age_ms = Some(11_000), Warning, "in flight for 11 s"),
            (|seen| seen.products[0].outbox_age_ms = Some(61_000), Error, "in flight for 61 s"),
            (|seen| drop(seen.processes.remove(0)), Error, "no API process is up"),
            (|seen| drop(seen.processes.remove(1)), Error, "no worker is up"),
            (|seen| seen.processes[2].is_up = false, Warning, "web has been silent"),
            (
                |seen| seen.dependencies.push(outage(Subject::Service)),
                Warning,
                "redis is not ready in 1 of 3",
            ),
            (|seen| seen.dependencies.push(outage(Subject::Sale)), Warning, "not ready in 1 of 3"),
            (|seen| seen.dependencies.push(outage(Subject::Reconciliation)), Error, "flashsale reconcile"),
            (|seen| seen.dependencies.push(outage(Subject::Queue)), Error, "redis: r"),
            (|seen| seen.dependencies.push(outage(Subject::Catalogue)), Warning, "flashsale products apply"),
            (|seen| seen.queue = Some(Depths { purchases: 0, dead: 2 }), Warning, "decision: 2"),
            (|seen| seen.dead_letters_missing = 2, Error, "not in their queue any more: 2"),
        ];
        for (break_it, severity, text) in cases {
            let mut seen = healthy();
            break_it(&mut seen);
            let verdict = Verdict::new(&seen, 2_000);
            assert_eq!(verdict.severity, severity, "{verdict:?}");
            assert!(
                verdict.findings.iter().any(|finding| finding.text.contains(text)),
                "{text}: {verdict:?}"
            );
        }
    }

    #[test]
    fn errors_come_before_warnings() {
        let mut seen = healthy();
        seen.products[0].outbox_age_ms = Some(11_000);
        seen.dead_letters_missing = 1;
        let findings = Verdict::new(&seen, 2_000).findings;
        let severities: Vec<_> = findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
    }

    #[test]
    fn a_stale_snapshot_is_an_error_and_processes_that_can_not_be_read_are_not_missed() {
        let stale = Verdict::new(&healthy(), 60_000);
        assert_eq!((stale.severity, stale.findings.len()), (Severity::Error, 1), "{stale:?}");
        let unread = Snapshot { trouble: Some("Redis".to_owned()), processes: Vec::new(), ..healthy() };
        let findings = Verdict::new(&unread, 2_000).findings;
        assert_eq!(findings, [Finding { severity: Severity::Warning, text: "Redis".to_owned() }]);
        assert_eq!(Verdict::new(&Snapshot::default(), 2_000).severity, Severity::Warning);
    }
}

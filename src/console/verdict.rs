//! The verdict on a snapshot: what needs an operator, the most serious first.

use serde::Serialize;

use super::{
    findings::{Finding, findings},
    snapshot::{ProductView, Snapshot},
};
use crate::domain::Phase;
use crate::observability::Severity;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// The highest of the findings.
    pub(super) severity: Severity,
    pub(super) text: String,
    pub(super) findings: Vec<Finding>,
}

impl Verdict {
    /// `now`: in milliseconds since 1970.
    pub(super) fn new(snapshot: &Snapshot, now: i64) -> Self {
        if snapshot.at == 0 {
            let text = "The stores are being read for the first time".to_owned();
            return Self { severity: Severity::Warning, text, findings: Vec::new() };
        }
        let findings = findings(snapshot, now);
        let severity = findings.first().map_or(Severity::Info, |finding| finding.severity);
        let is_paused = |product: &&ProductView| product.phase == Some(Phase::Paused);
        let paused: Vec<_> = snapshot.products.iter().filter(is_paused).map(|one| one.id.as_str()).collect();
        let text = match severity {
            Severity::Info => "All is well: every unit is accounted for",
            Severity::Warning if findings.len() == paused.len() => "Every unit is accounted for",
            Severity::Warning => "Something needs attention",
            Severity::Error => "Something is wrong",
        };
        let text = if paused.is_empty() { text.to_owned() } else { format!("{text}; {}", pauses(&paused)) };
        Self { severity, text, findings }
    }
}

/// Names them, unless they are many.
fn pauses(ids: &[&str]) -> String {
    const NAMED_MAX: usize = 3;
    match ids {
        [only] => format!("{only} is paused"),
        _ if ids.len() <= NAMED_MAX => format!("{} are paused", ids.join(", ")),
        _ => format!("{} products are paused", ids.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::Depths,
        console::snapshot::{DependencyView, Outage, ProcessView, Totals},
        domain::Conservation,
        observability::{readiness::Subject, registry::Role},
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
            total_stock: Some(5),
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
        let cases: [Case; 18] = [
            (|seen| seen.products[0].phase = Some(Phase::Paused), Warning, "flashsale resume --product p"),
            (|seen| seen.products[0].phase = Some(Phase::Ended), Warning, "nothing was sold"),
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
    fn a_pause_is_part_of_the_headline() {
        let mut seen = healthy();
        seen.products[0].phase = Some(Phase::Paused);
        assert_eq!(Verdict::new(&seen, 2_000).text, "Every unit is accounted for; p is paused");
        seen.products[0].outbox_age_ms = Some(11_000);
        assert_eq!(Verdict::new(&seen, 2_000).text, "Something needs attention; p is paused");
        seen.dead_letters_missing = 1;
        assert_eq!(Verdict::new(&seen, 2_000).text, "Something is wrong; p is paused");
        assert_eq!(pauses(&["a", "b"]), "a, b are paused");
        assert_eq!(pauses(&["a", "b", "c", "d"]), "4 products are paused");
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

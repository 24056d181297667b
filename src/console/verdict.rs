//! What an operator wants to know first.

use super::{DependencyView, ProductView, Snapshot};
use crate::domain::Conservation;
use crate::observability::readiness::Subject;
use crate::observability::registry::Role;

/// A look takes place every second, and waits two seconds for the stores.
const STALE_AFTER_MS: i64 = 8_000;
/// A purchase is swept after 5 s; one that is older than this is late.
const OUTBOX_AGE_LATE_MS: u64 = 10_000;
/// Every SUCCESS is in the ledger within a minute after all parts are healthy.
const OUTBOX_AGE_MAX_MS: u64 = 60_000;

/// How the evening goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `good`, `warn` or `bad`.
    pub(super) mood: &'static str,
    pub(super) headline: &'static str,
    /// What is wrong, a line each, the worst first.
    pub(super) troubles: Vec<String>,
}

impl Verdict {
    /// `now`: in milliseconds since 1970.
    pub(super) fn of(snapshot: &Snapshot, now: i64) -> Self {
        if snapshot.at == 0 {
            return Self { mood: "warn", headline: "Looking for the first time", troubles: Vec::new() };
        }
        let mut found = Found::default();
        let old = now.saturating_sub(snapshot.at);
        if old > STALE_AFTER_MS {
            found.bad.push(format!("what you see is {} s old: this process can't keep up", old / 1_000));
        }
        snapshot.products.iter().for_each(|product| found.product(product));
        found.processes(snapshot);
        snapshot.dependencies.iter().for_each(|dependency| found.dependency(dependency));
        found.letters(snapshot);
        let Found { bad, warn } = found;
        let (mood, headline) = match (bad.is_empty(), warn.is_empty()) {
            (false, _) => ("bad", "Something is wrong"),
            (true, false) => ("warn", "Something needs a look"),
            (true, true) => ("good", "All is well: every unit is accounted for"),
        };
        Self { mood, headline, troubles: bad.into_iter().chain(warn).collect() }
    }
}

#[derive(Default)]
struct Found {
    bad: Vec<String>,
    warn: Vec<String>,
}

impl Found {
    fn product(&mut self, product: &ProductView) {
        let ProductView { id, conservation, adds_up, trouble, outbox_age_ms, .. } = product;
        match (conservation, adds_up) {
            (Some(law), Some(false)) => self.bad.push(format!("{id}: {}", broken(law))),
            (Some(_), None) if trouble.is_none() => {
                self.warn.push(format!("{id}: the units are counted once more"));
            }
            _ => {}
        }
        if let Some(trouble) = trouble {
            // Without a phase nobody can buy; without a count it only can't be checked.
            let list = if product.phase.is_none() { &mut self.bad } else { &mut self.warn };
            list.push(format!("{id}: {trouble}"));
        }
        let age = outbox_age_ms.unwrap_or(0);
        let late = format!("{id}: a purchase has been on its way for {} s", age / 1_000);
        match age {
            OUTBOX_AGE_MAX_MS.. => self.bad.push(late),
            OUTBOX_AGE_LATE_MS.. => self.warn.push(late),
            _ => {}
        }
    }

    fn processes(&mut self, snapshot: &Snapshot) {
        if let Some(trouble) = &snapshot.trouble {
            return self.warn.push(trouble.clone());
        }
        if snapshot.processes.is_empty() {
            return self.warn.push("no process has reported yet".to_owned());
        }
        let is_up = |role| snapshot.processes.iter().any(|process| process.role == role && process.is_up);
        if !is_up(Role::Serve) {
            self.bad.push("no API process is up: nobody can buy by it (flashsale serve)".to_owned());
        }
        if !snapshot.embedded && !is_up(Role::Work) {
            self.bad.push("no worker is up: purchases wait in the queue (flashsale work)".to_owned());
        }
        for process in snapshot.processes.iter().filter(|process| !process.is_up) {
            self.warn.push(format!("{} has been silent for {} s", process.name, process.silent_ms / 1_000));
        }
    }

    fn dependency(&mut self, dependency: &DependencyView) {
        let DependencyView { subject, name, used_by, outages } = dependency;
        let Some(first) = outages.first() else { return };
        let (number, reason) = (outages.len(), &first.reason);
        let (list, line) = match subject {
            Subject::Service | Subject::Other => {
                (&mut self.warn, format!("{name} is away for {number} of {used_by}: {reason}"))
            }
            Subject::Sale => {
                (&mut self.warn, format!("{name} is not ready for {number} of {used_by}: {reason}"))
            }
            Subject::Reconciliation => (&mut self.bad, format!("{name}: {reason} (flashsale reconcile)")),
        };
        list.push(line);
    }

    fn letters(&mut self, snapshot: &Snapshot) {
        if snapshot.letters_missing > 0 {
            let number = snapshot.letters_missing;
            self.bad.push(format!(
                "dead letters that are not in their queue any more: {number} (flashsale audit)"
            ));
        }
        if let Some(dead) = snapshot.queue.map(|queue| queue.dead).filter(|dead| *dead > 0) {
            self.warn
                .push(format!("dead letters that wait for a decision: {dead} (flashsale dead-letters list)"));
        }
    }
}

fn broken(law: &Conservation) -> String {
    match (law.missing, law.surplus) {
        (missing, 0) => format!("{missing} admitted purchases are neither in the ledger nor on their way"),
        (_, surplus) => format!("{surplus} purchases are in the ledger that admission does not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::Depths,
        console::{Outage, ProcessView, Totals},
        domain::Phase,
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

    fn good() -> Snapshot {
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

    /// A change that spoils a good evening, the mood that follows, and a part of what is said.
    type Spoilt = (fn(&mut Snapshot), &'static str, &'static str);

    #[test]
    fn each_trouble_has_its_mood_and_its_line() {
        assert_eq!(Verdict::of(&good(), 2_000).mood, "good");
        let cases: [Spoilt; 14] = [
            (|seen| seen.products[0].adds_up = None, "warn", "counted once more"),
            (|seen| seen.products[0].adds_up = Some(false), "bad", "admitted purchases are neither"),
            (|seen| seen.products[0].trouble = Some("why".to_owned()), "warn", "p: why"),
            (
                |seen| {
                    seen.products[0].trouble = Some("why".to_owned());
                    seen.products[0].phase = None;
                },
                "bad",
                "p: why",
            ),
            (|seen| seen.products[0].outbox_age_ms = Some(11_000), "warn", "on its way for 11 s"),
            (|seen| seen.products[0].outbox_age_ms = Some(61_000), "bad", "on its way for 61 s"),
            (|seen| drop(seen.processes.remove(0)), "bad", "no API process is up"),
            (|seen| drop(seen.processes.remove(1)), "bad", "no worker is up"),
            (|seen| seen.processes[2].is_up = false, "warn", "web has been silent"),
            (|seen| seen.dependencies.push(outage(Subject::Service)), "warn", "redis is away for 1 of 3: r"),
            (|seen| seen.dependencies.push(outage(Subject::Sale)), "warn", "not ready for 1 of 3"),
            (|seen| seen.dependencies.push(outage(Subject::Reconciliation)), "bad", "flashsale reconcile"),
            (|seen| seen.queue = Some(Depths { purchases: 0, dead: 2 }), "warn", "decision: 2"),
            (|seen| seen.letters_missing = 2, "bad", "not in their queue any more: 2"),
        ];
        for (spoil, mood, said) in cases {
            let mut seen = good();
            spoil(&mut seen);
            let verdict = Verdict::of(&seen, 2_000);
            assert_eq!(verdict.mood, mood, "{verdict:?}");
            assert!(verdict.troubles.iter().any(|line| line.contains(said)), "{said}: {verdict:?}");
        }
    }

    #[test]
    fn an_old_look_is_called_old_and_others_are_not_missed_while_they_can_not_be_seen() {
        let old = Verdict::of(&good(), 60_000);
        assert_eq!((old.mood, old.troubles.len()), ("bad", 1), "{old:?}");
        let alone = Snapshot { trouble: Some("Redis".to_owned()), processes: Vec::new(), ..good() };
        assert_eq!(Verdict::of(&alone, 2_000).troubles, ["Redis"]);
        assert_eq!(Verdict::of(&Snapshot::default(), 2_000).mood, "warn");
    }
}

//! The audit: whether what the stores hold, and what clients were told, is what flashsale promises.
//!
//! Ten checks, each of which counts what it looked at and shows the first counter-examples. A run that exercised
//! nothing proves nothing: its verdict is [`Verdict::Unknown`]. `flashsale audit`, the fault tests and the load
//! scenarios all end in this one.

mod answers;
mod evidence;
mod gather;
mod history;
mod reconcile;
mod report;
mod state;
mod wire;

use serde::Serialize;

pub use evidence::{AdmissionState, Evidence};
pub use gather::{Counts, GatherError, Sources};
pub use history::{Answer, Attempt, Fault, History, Kind, Line, Operation};
pub use reconcile::{Difference, Kind as DifferenceKind, Repair, differences};
pub use report::{Law, Report};
pub use state::law;

/// The result of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check holds.
    Holds,
    /// At least one check found a counter-example.
    Violated,
    /// No counter-example, but the run could not have shown one.
    Unknown,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its number, 1 to 10.
    pub number: u8,
    /// What must hold.
    pub claim: &'static str,
    /// How many things it looked at.
    pub looked_at: usize,
    /// How many contradict the claim.
    pub violations: usize,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Most counter-examples that a check shows.
const EXAMPLES_MAX: usize = 5;

impl Check {
    fn new(number: u8, claim: &'static str) -> Self {
        Self { number, claim, looked_at: 0, violations: 0, examples: Vec::new() }
    }

    /// Looks at one thing; `example` says what is wrong if `holds` is false.
    fn look(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.looked_at += 1;
        if !holds {
            self.violations += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(example());
            }
        }
    }
}

/// Audits one product. Without a history only the stores are checked, against each other.
pub fn audit(evidence: &Evidence, history: Option<&History>) -> Report {
    let mut checks = state::checks(evidence);
    let mut doubts = Vec::new();
    if let Some(history) = history {
        checks.extend(answers::checks(evidence, history));
        doubts = answers::doubts(evidence, history);
    }
    let violated = checks.iter().any(|check| check.violations > 0);
    let verdict = match (violated, doubts.is_empty()) {
        (true, _) => Verdict::Violated,
        (false, true) => Verdict::Holds,
        (false, false) => Verdict::Unknown,
    };
    Report { verdict, law: state::law(evidence), doubts, checks }
}

//! The audit judges from evidence: whether what the stores hold, and what clients were answered, is
//! what flashsale promises. It repairs nothing.
//!
//! Each of the ten checks counts what it has checked and keeps the first counter-examples. A run
//! that exercised nothing proves nothing: its result is [`AuditResult::Unknown`]. `flashsale
//! audit`, the fault tests and the load scenarios use this one audit.

mod answers;
mod check;
mod comparison;
mod counts;
mod difference;
mod doubts;
mod empty_messages;
mod evidence;
mod gather;
mod history;
mod report;
mod settle;
mod sources;
mod state;
mod wire;

use serde::Serialize;

pub use check::{Check, CheckResult};
pub use comparison::differences;
pub use counts::{Counts, running_conservation};
pub use difference::{Difference, DifferenceKind};
pub use evidence::{AdmissionState, CancelledRow, Evidence};
pub use history::{Answer, Attempt, AttemptKind, Fault, History, HistoryLine, Operation};
pub use report::Report;
pub use sources::{GatherError, Sources};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditResult {
    Holds,
    Violated,
    /// No counter-example, in a run that could not have produced one.
    Unknown,
}

/// Audits one product. Without a history only the stores are checked.
pub fn audit(evidence: &Evidence, history: Option<&History>) -> Report {
    let mut checks = state::checks(evidence);
    let mut doubts = Vec::new();
    if let Some(history) = history {
        checks.extend(answers::checks(evidence, history));
        doubts = doubts::doubts(evidence, history);
    }
    let violated = checks.iter().any(|check| check.violations > 0);
    let verdict = match (violated, doubts.is_empty()) {
        (true, _) => AuditResult::Violated,
        (false, true) => AuditResult::Holds,
        (false, false) => AuditResult::Unknown,
    };
    let recorded = evidence.rows.len();
    Report { verdict, law: state::conservation(evidence), unread: None, recorded, doubts, checks }
}

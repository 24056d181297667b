//! The result of an audit, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::{AuditResult, Check, CheckResult};
use crate::domain::{Conservation, grouped};

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub verdict: AuditResult,
    /// `None`: admission can't be read from here.
    pub law: Option<Conservation>,
    /// Why admission can't be read from here, where the reader knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<&'static str>,
    /// Rows in the ledger.
    pub recorded: usize,
    /// Why a run without counter-examples proves nothing.
    pub doubts: Vec<String>,
    pub checks: Vec<Check>,
}

impl Report {
    /// The conservation law in one line.
    pub fn show_law(&self) -> String {
        if let Some(law) = &self.law {
            return law.to_string();
        }
        let why = self.unread.map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{} in the ledger; admission can't be read from here{why}", grouped(self.recorded))
    }
}

impl Report {
    fn show_check(&self, check: &Check, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check { number, claim, checked, violations, examples } = check;
        let checked = grouped(checked);
        match check.result() {
            CheckResult::Holds => writeln!(out, "{number:>3} holds     {claim} ({checked} checked)")?,
            CheckResult::Violated => {
                let violations = grouped(violations);
                writeln!(out, "{number:>3} VIOLATED  {claim} ({checked} checked, {violations} violations)")?;
            }
            CheckResult::NotExercised => {
                // Only the check between the stores needs one that may be out of reach.
                let why = self.unread.filter(|_| self.law.is_none()).unwrap_or("there was nothing to check");
                writeln!(out, "{number:>3} not checked ({why}): {claim}")?;
            }
        }
        examples.iter().try_for_each(|example| writeln!(out, "              {example}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.show_law())?;
        for check in &self.checks {
            self.show_check(check, out)?;
        }
        writeln!(out)?;
        match self.verdict {
            AuditResult::Holds if self.law.is_none() => {
                writeln!(out, "The audit holds, for what could be read from here.")
            }
            AuditResult::Holds => writeln!(out, "The audit holds."),
            AuditResult::Violated => writeln!(out, "The audit is VIOLATED."),
            AuditResult::Unknown => {
                writeln!(out, "The audit proves nothing: no counter-example, but")?;
                self.doubts.iter().try_for_each(|doubt| writeln!(out, "  - {doubt}"))
            }
        }
    }
}

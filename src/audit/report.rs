//! The result of an audit, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::{AuditResult, Check};
use crate::domain::Conservation;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub verdict: AuditResult,
    /// `None`: admission can't be read from here.
    pub law: Option<Conservation>,
    /// Rows in the ledger.
    pub recorded: usize,
    /// Why a run without counter-examples proves nothing.
    pub doubts: Vec<String>,
    pub checks: Vec<Check>,
}

impl Report {
    /// The conservation law in one line.
    pub fn show_law(&self) -> String {
        match &self.law {
            Some(law) => law.to_string(),
            None => format!("{} in the ledger; admission can't be read from here", self.recorded),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.show_law())?;
        for check in &self.checks {
            let result = if check.violations == 0 { "holds" } else { "VIOLATED" };
            let Check { number, claim, checked, violations, examples } = check;
            write!(out, "{number:>3}  {result:<9} {claim} ({checked} checked")?;
            if *violations > 0 {
                write!(out, ", {violations} violations")?;
            }
            writeln!(out, ")")?;
            for example in examples {
                writeln!(out, "                 {example}")?;
            }
        }
        writeln!(out)?;
        match self.verdict {
            AuditResult::Holds => writeln!(out, "The audit holds."),
            AuditResult::Violated => writeln!(out, "The audit is VIOLATED."),
            AuditResult::Unknown => {
                writeln!(out, "The audit proves nothing: no counter-example, but")?;
                self.doubts.iter().try_for_each(|doubt| writeln!(out, "  - {doubt}"))
            }
        }
    }
}

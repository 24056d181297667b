//! The verdict on a run: criterion by criterion, and as a whole.

use serde::Serialize;

use crate::audit::Report;

/// Something that must hold, with the value that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Criterion {
    pub claim: String,
    pub found: String,
    /// `None`: the value is informative, or could not be measured.
    pub holds: Option<bool>,
}

impl Criterion {
    pub(super) fn new(
        claim: impl Into<String>,
        found: impl Into<String>,
        holds: impl Into<Option<bool>>,
    ) -> Self {
        Self { claim: claim.into(), found: found.into(), holds: holds.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunResult {
    Pass,
    Fail,
    /// No criterion failed, but one that decides could not be measured.
    Unknown,
}

impl RunResult {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct RunVerdict {
    pub result: RunResult,
    #[serde(rename = "lines")]
    pub criteria: Vec<Criterion>,
    /// Why the result is not conclusive.
    pub doubts: Vec<String>,
    pub audit: Option<Report>,
}

impl RunVerdict {
    /// Without an audit the result is never PASS.
    pub(super) fn new(criteria: Vec<Criterion>, doubts: Vec<String>, audit: Option<Report>) -> Self {
        let result = if criteria.iter().any(|criterion| criterion.holds == Some(false)) {
            RunResult::Fail
        } else if doubts.is_empty() && audit.is_some() {
            RunResult::Pass
        } else {
            RunResult::Unknown
        };
        Self { result, criteria, doubts, audit }
    }
}

impl std::fmt::Display for RunVerdict {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.criteria.iter().map(|one| one.claim.chars().count()).max().unwrap_or(0);
        for Criterion { claim, found, holds } in &self.criteria {
            let sign = match holds {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "·",
            };
            writeln!(out, "  {sign} {claim:width$}  {found}")?;
        }
        for doubt in &self.doubts {
            writeln!(out, "  ? {doubt}")?;
        }
        for note in self.audit.iter().flat_map(|report| &report.doubts) {
            writeln!(out, "  · {note}")?;
        }
        writeln!(out, "\n{}", self.result.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditResult;

    #[test]
    fn a_run_passes_only_if_everything_was_measured_and_holds() {
        let criteria =
            |holds: Option<bool>| vec![Criterion::new("a", "b", Some(true)), Criterion::new("c", "d", holds)];
        let report = || Report {
            verdict: AuditResult::Holds,
            law: None,
            recorded: 0,
            doubts: Vec::new(),
            checks: Vec::new(),
        };
        let doubt = || vec!["why".to_owned()];
        for (holds, doubts, report, expected) in [
            (Some(true), Vec::new(), Some(report()), RunResult::Pass),
            (None, Vec::new(), Some(report()), RunResult::Pass),
            (Some(false), Vec::new(), Some(report()), RunResult::Fail),
            (Some(false), doubt(), None, RunResult::Fail),
            (Some(true), doubt(), Some(report()), RunResult::Unknown),
            (Some(true), Vec::new(), None, RunResult::Unknown),
        ] {
            assert_eq!(RunVerdict::new(criteria(holds), doubts, report).result, expected);
        }
    }
}

//! The verdict on a run: criterion by criterion, and as a whole.

use std::fmt::Write;

use serde::Serialize;

use crate::audit::Report;
use crate::runtime::{Colour, Screen, wrapped};

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

/// Columns before a claim: two of margin, the sign, a space.
const MARGIN: usize = 4;
/// The least width for values beside their claims; a narrower screen has them below.
const BESIDE_MIN: usize = 24;

impl RunVerdict {
    /// As text. A screen gets colours, and lines that fit it; without one, each
    /// criterion is one line.
    pub fn show(&self, screen: Option<Screen>) -> String {
        let columns = screen.map_or(usize::MAX, |screen| screen.columns);
        let paint = |colour, text: &str| screen.map_or(text.to_owned(), |screen| screen.paint(colour, text));
        let width = self.criteria.iter().map(|one| one.claim.chars().count()).max().unwrap_or(0);
        let beside = MARGIN + width + 2;
        let is_beside = beside + BESIDE_MIN <= columns;
        let mut text = String::new();
        for Criterion { claim, found, holds } in &self.criteria {
            let sign = match holds {
                Some(true) => paint(Colour::Good, "✓"),
                Some(false) => paint(Colour::Bad, "✗"),
                None => paint(Colour::Dim, "·"),
            };
            if is_beside {
                let found = wrapped(found, columns, beside, beside);
                let _ = writeln!(text, "  {sign} {claim:width$}  {found}");
            } else {
                let claim = wrapped(claim, columns, MARGIN, MARGIN);
                let found = wrapped(found, columns, MARGIN + 2, MARGIN + 2);
                let _ = writeln!(text, "  {sign} {claim}\n{:1$}{found}", "", MARGIN + 2);
            }
        }
        let doubts = self.doubts.iter().map(|doubt| (paint(Colour::Warning, "?"), doubt));
        let notes = self.audit.iter().flat_map(|report| &report.doubts);
        for (sign, line) in doubts.chain(notes.map(|note| (paint(Colour::Dim, "·"), note))) {
            let _ = writeln!(text, "  {sign} {}", wrapped(line, columns, MARGIN, MARGIN));
        }
        let colour = match self.result {
            RunResult::Pass => Colour::Good,
            RunResult::Fail => Colour::Bad,
            RunResult::Unknown => Colour::Warning,
        };
        let _ = writeln!(text, "\n{}", paint(colour, self.result.as_str()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditResult;

    #[test]
    fn lines_fit_the_screen_and_hang() {
        let criteria = vec![
            Criterion::new("requests that were answered", "1,500 of 1,500", true),
            Criterion::new(
                "SUCCESS responses = rows",
                "150 SUCCESS + 0 whose response was lost = 150 rows",
                false,
            ),
            Criterion::new("p95", "no request", None),
        ];
        let doubts =
            vec!["the run was stopped before its end, so that it can not tell anything at all".to_owned()];
        let verdict = RunVerdict::new(criteria, doubts, None);
        for columns in [40, 60, 80] {
            let text = verdict.show(Some(Screen { columns, colours: false }));
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}:\n{text}");
        }
        let narrow = "  ✓ requests that were answered  1,500 of 1,500
  ✗ SUCCESS responses = rows     150 SUCCESS + 0 whose
                                 response was lost = 150
                                 rows
  · p95                          no request
  ? the run was stopped before its end, so that it can not
    tell anything at all

FAIL
";
        assert_eq!(verdict.show(Some(Screen { columns: 58, colours: false })), narrow);
        let plain = verdict.show(None);
        assert_eq!(plain.lines().count(), 6, "{plain}");
        let coloured = verdict.show(Some(Screen { columns: 80, colours: true }));
        assert!(
            coloured.ends_with("\n\x1b[31mFAIL\x1b[0m\n") && coloured.contains("\x1b[32m✓"),
            "{coloured}"
        );
    }

    #[test]
    fn a_run_passes_only_if_everything_was_measured_and_holds() {
        let criteria =
            |holds: Option<bool>| vec![Criterion::new("a", "b", Some(true)), Criterion::new("c", "d", holds)];
        let report = || Report {
            verdict: AuditResult::Holds,
            law: None,
            unread: None,
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

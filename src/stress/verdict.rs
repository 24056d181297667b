//! Whether a run went well: each threshold with its value, then what the audit says.

use std::{collections::HashSet, time::Duration};

use serde::Serialize;

use super::{
    hostile::Misuse,
    recorder::{LATE, Record},
    scenario::Thresholds,
    told::Told,
    view::show_us,
};
use crate::audit::{self, Evidence, History, Kind, Report};

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What must hold.
    pub claim: String,
    /// What was found.
    pub found: String,
    /// Whether it holds. `None`: it is not asked for, or could not be seen.
    pub holds: Option<bool>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Result {
    /// Everything holds.
    Pass,
    /// Something does not.
    Fail,
    /// Nothing was found, but something that must be seen could not be.
    Unknown,
}

impl Result {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The verdict on a run.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// Line by line.
    pub lines: Vec<Line>,
    /// Why it could not tell.
    pub doubts: Vec<String>,
    /// The audit's report.
    pub audit: Option<Report>,
}

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn line(claim: impl Into<String>, found: impl Into<String>, holds: impl Into<Option<bool>>) -> Line {
    Line { claim: claim.into(), found: found.into(), holds: holds.into() }
}

/// The lines about answers and latencies.
pub(super) fn of_load(record: &Record, thresholds: &Thresholds) -> Vec<Line> {
    let ended = record.ended();
    let failed = record.count(Told::is_failure);
    let p95 = record.latencies.value_at_quantile(0.95);
    let mut lines = vec![line(
        "requests that were answered",
        format!("{} of {ended}", ended - record.count(|told| told == Told::NoAnswer)),
        ended > 0,
    )];
    if let Some(most) = thresholds.p95_max {
        let holds = Duration::from_micros(p95) < most;
        lines.push(line(format!("p95 < {} ms, since each was due", most.as_millis()), show_us(p95), holds));
    }
    if let Some(most) = thresholds.failed_max {
        let found = share(failed, ended);
        let claim = if most > 0.0 { format!("failed < {:.0} %", most * 100.0) } else { "none failed".into() };
        let holds = if most > 0.0 { found < most } else { failed == 0 };
        lines.push(line(claim, format!("{:.2} % ({failed})", found * 100.0), holds));
    }
    if let Some(least) = thresholds.checks_min {
        // Two checks an answer: it is 200; it is well-formed.
        let not_ok = record.count(|told| told.is_failure() && told != Told::Malformed);
        let (checks, broken) = (2 * ended, 2 * not_ok + record.count(|told| told == Told::Malformed));
        let found = 1.0 - share(broken, checks);
        lines.push(line(
            format!("checks > {:.0} %", least * 100.0),
            format!("{:.2} %", found * 100.0),
            found > least,
        ));
    }
    if let Some(most) = thresholds.server_errors_max {
        let found = record.count(Told::is_server_error);
        let (claim, holds) = match most {
            0 => ("no server errors".to_owned(), found == 0),
            _ => (format!("server errors < {most}"), found < most),
        };
        lines.push(line(claim, found.to_string(), holds));
    }
    lines.push(line(
        "stock ≥ 0 at every look",
        format!("lowest {} in {} looks", show_option(record.stock_min), record.stock_looks),
        record.stock_min.map(|least| least >= 0),
    ));
    lines
}

/// Whether requests were sent when they were due, and the doubt that follows if not: the load was not what it was to be.
pub(super) fn of_schedule(record: &Record) -> (Line, Option<String>) {
    let late = share(record.late, record.ended()) * 100.0;
    let limit = LATE.as_millis();
    let found = format!("{:.1} %", 100.0 - late);
    let doubt = format!(
        "{late:.1} % of the requests were sent more than {limit} ms late: this machine, or the server, can't keep the schedule"
    );
    (
        line(format!("sent within {limit} ms of when they were due"), found, None),
        (late > 5.0).then_some(doubt),
    )
}

/// The line about somebody who misused the API.
pub(super) fn of_misuse(misuse: &Misuse) -> Line {
    let Misuse { requests, refused, server_errors, accepted, unanswered } = misuse;
    line(
        "every misuse is refused",
        format!(
            "{refused} of {requests} ({server_errors} × 5xx, {accepted} accepted, {unanswered} unanswered)"
        ),
        refused == requests && *requests > 0,
    )
}

/// The lines that need the stores, and the audit's report.
pub(super) fn of_stores(evidence: &Evidence, history: &History, settled: bool) -> (Vec<Line>, Report) {
    let report = audit::audit(evidence, Some(history));
    let before = evidence.before.len();
    let rows = evidence.rows.len() - before;
    let ids = |wanted: &str| -> HashSet<&str> {
        let told = history.buys().filter(|attempt| attempt.outcome() == wanted);
        told.filter_map(|attempt| attempt.purchase()).collect()
    };
    let success = ids("SUCCESS");
    let unheard = evidence
        .rows
        .iter()
        .filter(|row| !evidence.before.contains(&row.id) && !success.contains(row.id.to_string().as_str()))
        .count();
    let unknown = history.buys().filter(|attempt| attempt.kind == Kind::Unknown).count();
    let mut lines = vec![line(
        "SUCCESS answers = rows = units sold",
        format!("{} + {unheard} whose answer was lost = {rows}", success.len()),
        success.len() + unheard == rows && (unheard == 0 || unknown > 0),
    )];
    lines.push(transition(history, evidence));
    let in_flight = report.law.in_flight;
    lines.push(line(
        "all purchases CONFIRMED within 60 s of the end",
        format!("{} still on their way", in_flight.map_or("?".to_owned(), |number| number.to_string())),
        settled,
    ));
    let broken: Vec<_> = report.checks.iter().filter(|check| check.violations > 0).collect();
    let found = match broken.first() {
        None => format!("{} checks hold; {}", report.checks.len(), report.law),
        Some(first) => format!(
            "{} ({} against it): {}",
            first.claim,
            first.violations,
            first.examples.first().map_or("", String::as_str)
        ),
    };
    lines.push(line("the audit finds nothing", found, broken.is_empty()));
    lines.push(row_delay(evidence, history));
    (lines, report)
}

/// Once somebody is told `SOLD_OUT`, nobody who comes later is told SUCCESS; and it happens when stock has ended.
fn transition(history: &History, evidence: &Evidence) -> Line {
    let claim = "from SUCCESS to SOLD_OUT once, when stock had ended";
    let sold_out = history.buys().filter(|attempt| attempt.outcome() == "SOLD_OUT");
    let Some(first) = sold_out.map(|attempt| attempt.end).min() else {
        let left = (evidence.terms.total_stock as usize).saturating_sub(evidence.rows.len());
        return line(claim, format!("not reached: {left} units are left"), (left > 0).then_some(true));
    };
    let later = history.buys().filter(|attempt| attempt.outcome() == "SUCCESS" && attempt.start > first);
    let (later, rows) = (later.count(), evidence.rows.len());
    let holds = later == 0 && rows == evidence.terms.total_stock as usize;
    line(
        claim,
        format!("{later} told SUCCESS after it, {rows} of {} sold", evidence.terms.total_stock),
        holds,
    )
}

/// From the answer to the row; informative.
fn row_delay(evidence: &Evidence, history: &History) -> Line {
    let answered: std::collections::HashMap<_, _> = history
        .buys()
        .filter(|attempt| attempt.outcome() == "SUCCESS")
        .filter_map(|attempt| Some((attempt.purchase()?, attempt.end)))
        .collect();
    let mut delays: Vec<_> = evidence
        .rows
        .iter()
        .filter_map(|row| {
            let confirmed_at = evidence.confirmed_at.get(&row.id)?.timestamp_millis();
            Some((confirmed_at - answered.get(row.id.to_string().as_str())?).max(0))
        })
        .collect();
    delays.sort_unstable();
    let at = |percent: usize| delays.get((delays.len() * percent / 100).min(delays.len().saturating_sub(1)));
    let found = format!("p50 {} ms, p99 {} ms", show_option(at(50)), show_option(at(99)));
    line("from SUCCESS to the row's transaction", found, None)
}

fn show_option(number: Option<impl ToString>) -> String {
    number.map_or("?".to_owned(), |number| number.to_string())
}

impl Verdict {
    /// From its lines. Without the audit nothing is proven.
    pub(super) fn new(lines: Vec<Line>, doubts: Vec<String>, audit: Option<Report>) -> Self {
        let result = if lines.iter().any(|line| line.holds == Some(false)) {
            Result::Fail
        } else if doubts.is_empty() && audit.is_some() {
            Result::Pass
        } else {
            Result::Unknown
        };
        Self { result, lines, doubts, audit }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.lines.iter().map(|line| line.claim.chars().count()).max().unwrap_or(0);
        for Line { claim, found, holds } in &self.lines {
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
        writeln!(out, "\n{}", self.result.as_str())
    }
}

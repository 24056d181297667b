//! Whether a run went well: each threshold with its value, then what the audit says.

use std::{collections::HashSet, time::Duration};

use serde::Serialize;

use super::{
    hostile::Misuse,
    recorder::{Group, Record},
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
    let looked = record.lookers.ended() > 0;
    let mut lines = of_group(&record.buyers, thresholds, if looked { "buyers: " } else { "" });
    if looked {
        lines.extend(of_group(&record.lookers, thresholds, "lookers: "));
    }
    let (stock_min, looks) = (show_option(record.stock_min), record.stock_looks);
    lines.push(line(
        "stock ≥ 0 at every look",
        format!("lowest {stock_min} in {looks} looks"),
        record.stock_min.is_some_and(|least| least >= 0),
    ));
    lines
}

fn of_group(group: &Group, thresholds: &Thresholds, who: &str) -> Vec<Line> {
    let (ended, failed) = (group.ended(), group.count(Told::is_failure));
    let p95 = group.latencies.value_at_quantile(0.95);
    let answered = ended - group.count(|told| told == Told::NoAnswer);
    let mut lines =
        vec![line(format!("{who}requests that were answered"), format!("{answered} of {ended}"), ended > 0)];
    if let Some(most) = thresholds.p95_max {
        let claim = format!("{who}p95 < {} ms, since each was due", most.as_millis());
        lines.push(line(claim, show_us(p95), Duration::from_micros(p95) < most));
    }
    if let Some(most) = thresholds.failed_max {
        let found = share(failed, ended);
        let claim = if most > 0.0 { format!("failed < {:.0} %", most * 100.0) } else { "none failed".into() };
        let holds = if most > 0.0 { found < most } else { failed == 0 };
        lines.push(line(format!("{who}{claim}"), format!("{:.2} % ({failed})", found * 100.0), holds));
    }
    if let Some(least) = thresholds.checks_min {
        // Two checks an answer that was waited for: it is 200; it is whole.
        let waited = ended - group.count(|told| told == Told::GivenUp);
        let malformed = group.count(|told| told == Told::Malformed);
        let found = 1.0 - share(2 * (failed - malformed) + malformed, 2 * waited);
        let claim = format!("{who}checks > {:.0} %", least * 100.0);
        lines.push(line(claim, format!("{:.2} %", found * 100.0), found > least));
    }
    if let Some(most) = thresholds.server_errors_max {
        let found = group.count(Told::is_server_error);
        let (claim, holds) = match most {
            0 => ("no server errors".to_owned(), found == 0),
            _ => (format!("server errors < {most}"), found < most),
        };
        lines.push(line(format!("{who}{claim}"), found.to_string(), holds));
    }
    lines
}

/// Why these answers may not have shown what was to be shown.
pub(super) fn doubts_of_answers(record: &Record) -> Vec<String> {
    let closed = |told| matches!(told, Told::Upcoming | Told::Ended | Told::Paused);
    match record.buyers.count(closed) {
        0 => Vec::new(),
        number => vec![format!("{number} attempts met a sale that was not open")],
    }
}

/// Whether requests were sent when they were due, and the doubt that follows if not: the load was not what it was to be.
pub(super) fn of_schedule(record: &Record, late_after: Duration) -> (Line, Option<String>) {
    let late = share(record.late, record.buyers.ended() + record.lookers.ended()) * 100.0;
    let limit = late_after.as_millis();
    let found = format!("{:.1} %", 100.0 - late);
    let doubt = format!(
        "{late:.1} % of the requests were sent more than {limit} ms late: this machine, or the server, can't keep the schedule"
    );
    (
        line(format!("sent within {limit} ms of when they were due"), found, None),
        (late > 5.0).then_some(doubt),
    )
}

/// The lines about somebody who misused the API.
pub(super) fn of_misuse(misuse: &Misuse) -> Vec<Line> {
    let Misuse { requests, refused, server_errors, accepted, unanswered, slow_ended: (ended, tried) } =
        misuse;
    let found = format!(
        "{refused} of {requests} ({server_errors} × 5xx, {accepted} accepted, {unanswered} unanswered)"
    );
    vec![
        line("every misuse is refused", found, refused == requests && *requests > 0),
        // In a short run none has had its time.
        line(
            "slow senders are got rid of",
            format!("{ended} of {tried}"),
            (*tried > 0).then_some(ended == tried),
        ),
    ]
}

/// What the stores were like before the run, and how many people were to come for what they had.
pub(super) struct Before {
    pub(super) remaining: Option<u32>,
    pub(super) people: u64,
}

/// The lines that need the stores, and the audit's report.
pub(super) fn of_stores(
    evidence: &Evidence,
    history: &History,
    before: &Before,
    settled: bool,
) -> (Vec<Line>, Report) {
    let report = audit::audit(evidence, Some(history));
    let in_flight = report.law.in_flight;
    let mut lines = vec![
        sold(evidence, history, before),
        transition(history, evidence, before),
        line(
            "all purchases CONFIRMED within 60 s of the end",
            format!("{} still on their way", show_option(in_flight)),
            settled,
        ),
    ];
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

/// Every SUCCESS is a row, every other row is of somebody whose answer was lost, and all of them are the units that are
/// gone since.
fn sold(evidence: &Evidence, history: &History, before: &Before) -> Line {
    let told = history.buys().filter(|attempt| attempt.outcome() == "SUCCESS");
    let success: HashSet<_> = told.filter_map(|attempt| attempt.purchase()).collect();
    let lost_answers: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind == Kind::Unknown)
        .map(|attempt| attempt.user.as_str())
        .collect();
    let (mut heard, mut unheard, mut unexplained) = (0, 0, 0);
    for row in evidence.rows.iter().filter(|row| !evidence.before.contains(&row.id)) {
        if success.contains(row.id.to_string().as_str()) {
            heard += 1;
        } else if lost_answers.contains(row.user.as_str()) {
            unheard += 1;
        } else {
            unexplained += 1;
        }
    }
    let rows = heard + unheard + unexplained;
    let remaining = evidence.admission.as_ref().map(|admission| admission.sale.remaining);
    let gone = before.remaining.zip(remaining).map(|(before, now)| before.saturating_sub(now) as usize);
    let found = format!(
        "{} told SUCCESS + {unheard} whose answer was lost = {rows} rows = {} units",
        success.len(),
        show_option(gone)
    );
    let holds = heard == success.len() && unexplained == 0 && gone == Some(rows) && rows > 0;
    line("SUCCESS answers = rows = units sold", found, holds)
}

/// Once somebody is told `SOLD_OUT`, nobody who comes later is told SUCCESS; and it happens when stock has ended, which it
/// must where more people come than there are units.
fn transition(history: &History, evidence: &Evidence, before: &Before) -> Line {
    let claim = "from SUCCESS to SOLD_OUT once, when stock had ended";
    let (rows, total_stock) = (evidence.rows.len(), evidence.terms.total_stock as usize);
    let sold_out = history.buys().filter(|attempt| attempt.outcome() == "SOLD_OUT");
    let Some(first) = sold_out.map(|attempt| attempt.end).min() else {
        let left = total_stock.saturating_sub(rows);
        let enough_came = before.remaining.is_some_and(|remaining| before.people > u64::from(remaining));
        return line(claim, format!("not reached: {left} units are left"), left > 0 && !enough_came);
    };
    let later = history.buys().filter(|attempt| attempt.outcome() == "SUCCESS" && attempt.start > first);
    let later = later.count();
    let found = format!("{later} told SUCCESS after it, {rows} of {total_stock} sold");
    line(claim, found, later == 0 && rows == total_stock)
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
        for note in self.audit.iter().flat_map(|report| &report.doubts) {
            writeln!(out, "  · {note}")?;
        }
        writeln!(out, "\n{}", self.result.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stress::{
        recorder::{Recorder, Sample},
        scenario::{Scenario, ScenarioName},
    };

    /// The lines that do not hold, of a load in which so many were told this, after this time.
    fn broken(told: &[(Told, u64)], millis: u64) -> Vec<String> {
        let recorder = Recorder::new(Instant::now(), Duration::from_millis(250)).unwrap();
        for (told, number) in told {
            for _ in 0..*number {
                let (due, ended) = (Duration::ZERO, Duration::from_millis(millis));
                recorder.note(Sample { due, sent: due, ended, told: *told, attempt: None });
            }
        }
        recorder.note_stock(3);
        let thresholds = Scenario::of(ScenarioName::Flashsale, 1.0, 1.0).thresholds;
        let lines = recorder.look(|record| of_group(&record.lookers, &thresholds, ""));
        lines.into_iter().filter(|line| line.holds == Some(false)).map(|line| line.claim).collect()
    }

    #[test]
    fn each_threshold_can_be_missed() {
        assert_eq!(broken(&[(Told::Success, 100)], 10), [""; 0]);
        assert_eq!(broken(&[(Told::Success, 100)], 410), ["p95 < 400 ms, since each was due"]);
        let refused = broken(&[(Told::Success, 100), (Told::Refused, 6)], 10);
        assert_eq!(refused, ["failed < 5 %", "checks > 95 %"]);
        assert_eq!(broken(&[(Told::Success, 1_000), (Told::NotReady, 20)], 10), ["server errors < 20"]);
        assert_eq!(broken(&[], 0).first().map(String::as_str), Some("requests that were answered"));
        assert_eq!(broken(&[(Told::Success, 100), (Told::GivenUp, 50)], 10), [""; 0], "they did not wait");
    }

    #[test]
    fn only_limits_of_latency_are_scaled() {
        let scenario = || Scenario::of(ScenarioName::Flashsale, 1.0, 1.0);
        let (strict, patient) = (scenario(), scenario().patient(2.0));
        assert_eq!(patient.late_after, Duration::from_millis(500));
        let p95_max = Some(Duration::from_millis(800));
        assert_eq!(patient.thresholds, Thresholds { p95_max, ..strict.thresholds });
    }

    #[test]
    fn a_verdict_passes_only_if_everything_was_seen_and_holds() {
        let lines = |holds: Option<bool>| vec![line("a", "b", Some(true)), line("c", "d", holds)];
        let report = || {
            let law = audit::Law {
                total_stock: 1,
                remaining: None,
                in_flight: None,
                in_ledger: 0,
                dead_lettered: 0,
            };
            let verdict = audit::Verdict::Holds;
            Report { verdict, law, doubts: Vec::new(), checks: Vec::new() }
        };
        let doubt = || vec!["why".to_owned()];
        for (holds, doubts, report, expected) in [
            (Some(true), Vec::new(), Some(report()), Result::Pass),
            (None, Vec::new(), Some(report()), Result::Pass),
            (Some(false), Vec::new(), Some(report()), Result::Fail),
            (Some(false), doubt(), None, Result::Fail),
            (Some(true), doubt(), Some(report()), Result::Unknown),
            (Some(true), Vec::new(), None, Result::Unknown),
        ] {
            assert_eq!(Verdict::new(lines(holds), doubts, report).result, expected);
        }
    }
}

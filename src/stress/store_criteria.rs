//! The criteria that need what the stores hold after the run.

use std::collections::{HashMap, HashSet};

use super::{criteria::show_option, verdict::Criterion};
use crate::audit::{AttemptKind, Evidence, History, Report, audit};
use crate::domain::grouped;

pub(super) struct BeforeRun {
    /// Units in stock before the run; `None`: unknown.
    pub(super) remaining: Option<u32>,
    /// The least number of different buyers of the run.
    pub(super) buyers_min: u64,
}

/// The criteria, and the audit's report.
pub(super) fn of_stores(
    evidence: &Evidence,
    history: &History,
    before: &BeforeRun,
    settled: bool,
) -> (Vec<Criterion>, Report) {
    let report = audit(evidence, Some(history));
    let in_flight = report.law.as_ref().map(|law| law.in_flight);
    let mut criteria = vec![
        sold(evidence, history, before),
        transition(history, evidence, before),
        Criterion::new(
            "all purchases CONFIRMED within 60 s of the end",
            format!("{} still in flight", show_option(in_flight)),
            settled,
        ),
    ];
    let broken: Vec<_> = report.checks.iter().filter(|check| check.violations > 0).collect();
    let found = match broken.first() {
        None => format!("{} checks; {}", report.checks.len(), report.show_law()),
        Some(first) => format!(
            "{} ({} violations): {}",
            first.claim,
            grouped(first.violations),
            first.examples.first().map_or("", String::as_str)
        ),
    };
    criteria.push(Criterion::new("every check of the audit holds", found, broken.is_empty()));
    criteria.push(row_delay(evidence, history));
    (criteria, report)
}

/// Every SUCCESS is a row; every other row belongs to a buyer whose response was lost; and the rows
/// are as many as the units that have left the stock.
fn sold(evidence: &Evidence, history: &History, before: &BeforeRun) -> Criterion {
    let answered = history.buys().filter(|attempt| attempt.outcome() == "SUCCESS");
    let success: HashSet<_> = answered.filter_map(|attempt| attempt.purchase()).collect();
    let unknown: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind == AttemptKind::Unknown)
        .map(|attempt| attempt.user.as_str())
        .collect();
    let (mut answered, mut unanswered, mut unexplained) = (0, 0, 0);
    for row in evidence.rows.iter().filter(|row| !evidence.before.contains(&row.id)) {
        if success.contains(row.id.to_string().as_str()) {
            answered += 1;
        } else if unknown.contains(row.user.as_str()) {
            unanswered += 1;
        } else {
            unexplained += 1;
        }
    }
    let rows = answered + unanswered + unexplained;
    let remaining = evidence.admission.as_ref().map(|admission| admission.sale.remaining);
    let gone = before.remaining.zip(remaining).map(|(before, now)| before.saturating_sub(now) as usize);
    let claim = "SUCCESS responses = rows = units sold";
    if rows == 0 && success.is_empty() && gone == Some(0) {
        return Criterion::new(claim, "nothing was sold", None);
    }
    let found = format!(
        "{} SUCCESS + {} whose response was lost = {} rows = {} units",
        grouped(success.len()),
        grouped(unanswered),
        grouped(rows),
        show_option(gone)
    );
    let holds = answered == success.len() && unexplained == 0 && gone == Some(rows);
    Criterion::new(claim, found, holds)
}

/// After the first `SOLD_OUT` no later attempt is a SUCCESS. `SOLD_OUT` must come when stock is
/// exhausted, which it must be where more buyers come than there are units.
fn transition(history: &History, evidence: &Evidence, before: &BeforeRun) -> Criterion {
    let claim = "SOLD_OUT once, when the stock was exhausted";
    let (rows, total_stock) = (evidence.rows.len(), evidence.terms.total_stock as usize);
    let sold_out = history.buys().filter(|attempt| attempt.outcome() == "SOLD_OUT");
    let Some(first) = sold_out.map(|attempt| attempt.end).min() else {
        let left = total_stock.saturating_sub(rows);
        let enough_came = before.remaining.is_some_and(|remaining| before.buyers_min > u64::from(remaining));
        let came = history.buys().next().is_some();
        let found = format!("not exercised: {} units are left", grouped(left));
        return Criterion::new(claim, found, (came && (left == 0 || enough_came)).then_some(false));
    };
    let later = history.buys().filter(|attempt| attempt.outcome() == "SUCCESS" && attempt.start > first);
    let later = later.count();
    let (sold, stock) = (grouped(rows), grouped(total_stock));
    let found = format!("{} SUCCESS after it, {sold} of {stock} sold", grouped(later));
    Criterion::new(claim, found, later == 0 && rows == total_stock)
}

fn row_delay(evidence: &Evidence, history: &History) -> Criterion {
    let answered: HashMap<_, _> = history
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
    let found = match (at(50), at(99)) {
        (Some(p50), Some(p99)) => format!("p50 {} ms, p99 {} ms", grouped(p50), grouped(p99)),
        _ => "nothing was sold".to_owned(),
    };
    Criterion::new("from SUCCESS to the row's transaction", found, None)
}

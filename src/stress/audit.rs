//! After the load: waits until every purchase is recorded, queries every purchase that matters, and
//! audits.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    console::Console,
    recorder::Recorder,
    store_criteria::{self, BeforeRun},
    target::Target,
    verdict::Criterion,
};
use crate::audit::{Attempt, AttemptKind, Evidence, History, Report};
use crate::domain::grouped;
use crate::runtime::output;

/// From the end of the load until every purchase is CONFIRMED.
const CONFIRMED_WITHIN: Duration = Duration::from_mins(1);
const QUERIES_AT_A_TIME: usize = 32;

pub(super) async fn audit(
    target: &Target,
    console: &Console,
    recorder: &Recorder,
    before: Evidence,
    buyers_min: u64,
    doubts: &mut Vec<String>,
) -> anyhow::Result<(Vec<Criterion>, Report)> {
    output::paragraph("waiting until every purchase is recorded, then auditing");
    let settled = settle(target, console).await;
    let users: BTreeSet<String> = recorder.read(|record| {
        let may_have_purchase = |attempt: &&Attempt| {
            attempt.kind == AttemptKind::Unknown || matches!(attempt.outcome(), "SUCCESS" | "PURCHASED")
        };
        record.attempts.iter().filter(may_have_purchase).map(|attempt| attempt.user.clone()).collect()
    });
    let pending = users.iter().map(|user| target.query_purchase(recorder, user));
    let results: Vec<_> = stream::iter(pending).buffer_unordered(QUERIES_AT_A_TIME).collect().await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    if failed > 0 {
        doubts.push(format!("{} queries of purchases failed", grouped(failed)));
    }
    let mut evidence = console.evidence().await?;
    evidence.before = before.rows.iter().map(|row| row.id).collect();
    let remaining = before.admission.map(|admission| admission.sale.remaining);
    let before = BeforeRun { remaining, buyers_min };
    let mut attempts = recorder.take_attempts();
    attempts.sort_by_key(|attempt| attempt.end);
    let history = History { attempts, faults: Vec::new() };
    let tried = history.buys().next().is_some();
    if tried && !history.buys().any(|attempt| attempt.outcome() == "SUCCESS") {
        doubts.push("nothing was sold".to_owned());
    }
    let (criteria, report) = store_criteria::of_stores(&evidence, &history, &before, settled);
    for attempt in history.attempts {
        recorder.record_history(attempt);
    }
    Ok((criteria, report))
}

/// Returns whether every purchase was recorded in time.
async fn settle(target: &Target, console: &Console) -> bool {
    let deadline = target.runtime.instant() + CONFIRMED_WITHIN;
    loop {
        if let Ok(counts) = console.counts().await
            && counts.in_flight.unwrap_or(0) == 0
        {
            return true;
        }
        if target.runtime.instant() > deadline {
            return false;
        }
        target.runtime.sleep(Duration::from_millis(250)).await;
    }
}

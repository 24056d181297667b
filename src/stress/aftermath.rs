//! After the load: waits until everything is recorded, asks about everybody whose effect matters, and audits.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::{recorder::Recorder, target::Target, verdict};
use crate::audit::{Attempt, Evidence, History, Kind, Report};

/// How long purchases may take to be CONFIRMED after the end.
const CONFIRMED_WITHIN: Duration = Duration::from_mins(1);
/// Questions about purchases at a time.
const QUESTIONS_AT_A_TIME: usize = 32;

/// Waits until nothing is on its way, asks about everybody whose effect matters, and audits.
pub(super) async fn audit(
    target: &Target,
    recorder: &Recorder,
    before: Evidence,
    people: u64,
    doubts: &mut Vec<String>,
) -> anyhow::Result<(Vec<verdict::Line>, Report)> {
    eprintln!("waiting until everything is recorded, then auditing");
    let settled = settle(target).await;
    let users: BTreeSet<String> = recorder.look(|record| {
        let matters = |attempt: &&Attempt| {
            attempt.kind == Kind::Unknown || matches!(attempt.outcome(), "SUCCESS" | "PURCHASED")
        };
        record.attempts.iter().filter(matters).map(|attempt| attempt.user.clone()).collect()
    });
    let asking = users.iter().map(|user| target.ask(recorder, user));
    let asked: Vec<_> = stream::iter(asking).buffer_unordered(QUESTIONS_AT_A_TIME).collect().await;
    let silent = asked.iter().filter(|asked| asked.is_err()).count();
    if silent > 0 {
        doubts.push(format!("{silent} questions about purchases were not answered"));
    }
    let mut evidence = target.evidence().await?;
    evidence.before = before.rows.iter().map(|row| row.id).collect();
    let remaining = before.admission.map(|admission| admission.sale.remaining);
    let before = verdict::Before { remaining, people };
    let mut attempts = recorder.take_attempts();
    attempts.sort_by_key(|attempt| attempt.end);
    let history = History { attempts, faults: Vec::new() };
    let (lines, report) = verdict::of_stores(&evidence, &history, &before, settled);
    for attempt in history.attempts {
        recorder.note_question(attempt);
    }
    Ok((lines, report))
}

/// Whether everything was recorded in time.
async fn settle(target: &Target) -> bool {
    let deadline = Instant::now() + CONFIRMED_WITHIN;
    loop {
        if let Ok(Some(counts)) = target.counts().await
            && counts.in_flight.unwrap_or(0) == 0
        {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(250)).await;
    }
}

//! Checks 4 to 10: what clients were answered, against the stores.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Answer, Attempt, AttemptKind, Check, Evidence, History, Operation};
use crate::domain::Purchase;

/// The largest difference between the clocks of clients and of admission.
const CLOCK_SKEW_MS: i64 = 1_000;

pub(super) fn checks(evidence: &Evidence, history: &History) -> Vec<Check> {
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.id.to_string(), row)).collect();
    vec![
        every_success_is_a_row(evidence, history, &rows),
        every_row_was_attempted(evidence, history),
        every_unknown_is_whole(evidence, history),
        never_sold_out_too_early(evidence, history),
        nothing_outside_the_window(evidence, history),
        no_state_goes_back(evidence, history),
        always_the_first_purchase(evidence, history),
    ]
}

fn every_success_is_a_row(
    evidence: &Evidence,
    history: &History,
    rows: &HashMap<String, &Purchase>,
) -> Check {
    let mut check = Check::new(4, "every SUCCESS is a row with that purchase and unit, or was revoked");
    let cancelled = cancelled_ids(evidence);
    let last_status = last_status(history);
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SUCCESS") {
        let answer = attempt.answer.clone().unwrap_or_default();
        let id = answer.purchase_id.unwrap_or_default();
        let durability = answer.durability.unwrap_or_default();
        // After a loss of Redis a purchase that only Redis had may have got another unit, or been
        // revoked.
        let excused = durability == "redis" && history.redis_was_lost_after(attempt);
        let holds = if let Some(row) = rows.get(&id) {
            row.user.as_str() == attempt.user && (excused || Some(row.unit) == answer.unit)
        } else {
            let status = last_status.get(&*attempt.user).and_then(|status| status.answer.as_ref());
            let revoked = excused && evidence.revocations.contains_key(&id);
            (revoked || cancelled.contains(&id)) && status.is_some_and(is_informed)
        };
        check.verify(holds, || {
            let found = match rows.get(&id) {
                Some(row) => format!("the ledger has it as unit {} of {}", row.unit, row.user),
                None if cancelled.contains(&id) => {
                    "it was cancelled, and its buyer does not see the reason".to_owned()
                }
                None if evidence.revocations.contains_key(&id) => {
                    "it was revoked without a declared loss of Redis, or its buyer does not see the reason"
                        .to_owned()
                }
                None => "it is in no store".to_owned(),
            };
            let unit = answer.unit.unwrap_or_default();
            format!("{} got SUCCESS ({durability}), purchase {id}, unit {unit}: {found}", attempt.user)
        });
    }
    check
}

/// The last status answer of each user, from after the load.
fn last_status(history: &History) -> HashMap<&str, &Attempt> {
    let attempts = history.attempts.iter();
    let answered =
        attempts.filter(|attempt| attempt.operation == Operation::Status && attempt.kind == AttemptKind::Ok);
    answered.map(|attempt| (&*attempt.user, attempt)).collect()
}

/// The buyer of a lost purchase sees the revocation with its reason, or has another purchase.
fn is_informed(status: &Answer) -> bool {
    status.has_purchased == Some(true)
        || (matches!(status.state.as_deref(), Some("REVOKED" | "CANCELLED")) && status.reason.is_some())
}

/// Purchases that an operator has cancelled.
fn cancelled_ids(evidence: &Evidence) -> HashSet<String> {
    evidence.cancelled.iter().map(|row| row.purchase.id.to_string()).collect()
}

fn every_row_was_attempted(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(5, "no row without an attempt");
    let tried: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind != AttemptKind::Refused)
        .map(|attempt| &*attempt.user)
        .collect();
    for row in evidence.rows.iter().filter(|row| !evidence.before.contains(&row.id)) {
        check.verify(tried.contains(row.user.as_str()), || {
            format!("{} has unit {} without an attempt", row.user, row.unit)
        });
    }
    check
}

fn every_unknown_is_whole(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(6, "an attempt whose outcome is unknown is wholly there or wholly absent");
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.user.as_str(), row)).collect();
    let last_status = last_status(history);
    let unknown: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind == AttemptKind::Unknown)
        .map(|attempt| &*attempt.user)
        .collect();
    for user in unknown {
        let row = rows.get(user);
        let Some(status) = last_status.get(user).and_then(|attempt| attempt.answer.as_ref()) else {
            check.verify(false, || format!("{user} was not queried after the load"));
            continue;
        };
        let has = status.has_purchased.unwrap_or(false);
        let same = match row {
            Some(row) => {
                has && status.purchase_id.as_deref() == Some(&*row.id.to_string())
                    && status.unit == Some(row.unit)
            }
            None => !has,
        };
        check.verify(same, || {
            format!("{user} gets hasPurchased = {has}, and the ledger has {} rows", row.map_or(0, |_| 1))
        });
    }
    check
}

fn never_sold_out_too_early(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(7, "no SOLD_OUT while units were certainly left");
    let again = evidence.cancelled.iter().filter(|row| row.may_buy_again);
    let may_buy_again: HashSet<_> = again.map(|row| row.purchase.user.as_str()).collect();
    let may_have_won = |attempt: &&Attempt| {
        attempt.kind == AttemptKind::Unknown || matches!(attempt.outcome(), "SUCCESS" | "PURCHASED")
    };
    // The earliest time at which each purchase of each user can have taken a unit. A user has more
    // than one where an operator allowed it. The purchase of an unknown attempt has no name.
    let mut taken: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for attempt in history.buys().filter(may_have_won) {
        let purchase = attempt.purchase().unwrap_or_default();
        let first = taken.entry(&attempt.user).or_default().entry(purchase).or_insert(attempt.start);
        *first = attempt.start.min(*first);
    }
    for (user, purchases) in &mut taken {
        if purchases.len() > 1
            && !may_buy_again.contains(user)
            && let Some(unknown) = purchases.remove("")
            && let Some(first) = purchases.values_mut().min()
        {
            *first = unknown.min(*first);
        }
    }
    let mut times: Vec<_> = taken.into_values().flat_map(BTreeMap::into_values).collect();
    times.sort_unstable();
    let total_stock = evidence.decided().total_stock;
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SOLD_OUT") {
        let taken_at_most = evidence.before.len() + times.partition_point(|start| *start <= attempt.end);
        check.verify(taken_at_most >= total_stock as usize, || {
            format!("{} got SOLD_OUT when at most {taken_at_most} units were taken", attempt.user)
        });
    }
    check
}

fn nothing_outside_the_window(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(8, "nothing is admitted outside the window");
    let (opens_at, closes_at) = (evidence.terms.opens_at, evidence.terms.closes_at);
    for row in &evidence.rows {
        let early = opens_at.is_some_and(|opens_at| row.admitted_at < opens_at);
        let late = closes_at.is_some_and(|closes_at| row.admitted_at >= closes_at);
        check.verify(!early && !late, || format!("{} was admitted at {}", row.user, row.admitted_at));
    }
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SUCCESS") {
        let early = opens_at.is_some_and(|at| attempt.end + CLOCK_SKEW_MS < at.timestamp_millis());
        let late = closes_at.is_some_and(|at| attempt.start - CLOCK_SKEW_MS >= at.timestamp_millis());
        check.verify(!early && !late, || {
            format!("{} got SUCCESS between {} and {}", attempt.user, attempt.start, attempt.end)
        });
    }
    check
}

fn no_state_goes_back(evidence: &Evidence, history: &History) -> Check {
    let cancelled = cancelled_ids(evidence);
    let mut check = Check::new(9, "the state of a purchase never goes back");
    let mut seen: HashMap<&str, Vec<(&Attempt, &str)>> = HashMap::new();
    for attempt in &history.attempts {
        let state = attempt.answer.as_ref().and_then(|answer| answer.state.as_deref());
        if let (Some(id), Some(state)) = (attempt.purchase(), state) {
            seen.entry(id).or_default().push((attempt, state));
        }
    }
    for (id, states) in seen {
        // No request that was sent after an answer with a final state may have another state,
        // unless that is a cancellation, or the row itself may have been lost, and recorded anew.
        let is_forward = |from: &str, to: &str| {
            from == to || (from == "CONFIRMED" && to == "CANCELLED" && cancelled.contains(id))
        };
        let first = |wanted: &str| {
            let such = states.iter().filter(|(_, state)| *state == wanted);
            such.min_by_key(|(attempt, _)| attempt.end)
        };
        let firsts: Vec<_> = ["CONFIRMED", "REVOKED", "CANCELLED"].into_iter().filter_map(first).collect();
        if firsts.is_empty() {
            check.verify(true, String::new);
            continue;
        }
        let back = firsts.iter().find_map(|(first, state)| {
            let is_back =
                |(later, other): &&(&Attempt, &str)| later.start > first.end && !is_forward(state, other);
            states.iter().find(is_back).map(|(_, other)| (*state, *other))
        });
        // The first answers may be lost: the purchase may be as old as its buyer's first attempt.
        let user = states.first().map(|(attempt, _)| &attempt.user);
        let mut attempts = history.buys().filter(|attempt| Some(&attempt.user) == user);
        let mut is_lost = || attempts.any(|attempt| history.rows_were_lost_after(attempt));
        check.verify(back.is_none() || is_lost(), || {
            let (state, other) = back.unwrap_or_default();
            format!("purchase {id} was {state}, and then {other}")
        });
    }
    check
}

fn always_the_first_purchase(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(10, "PURCHASED always names the user's first purchase");
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let again = evidence.cancelled.iter().filter(|row| row.may_buy_again);
    let may_buy_again: HashSet<_> = again.map(|row| row.purchase.id.to_string()).collect();
    for attempt in history.buys() {
        if let Some(id) = attempt.purchase() {
            // After a loss of Redis a user may have another purchase, if this one was revoked.
            let excused = history.redis_was_lost_after(attempt) && evidence.revocations.contains_key(id)
                || may_buy_again.contains(id);
            let ids = named.entry(&attempt.user).or_default();
            if !excused {
                ids.insert(id);
            }
        }
    }
    for (user, ids) in named {
        check.verify(ids.len() <= 1, || format!("{user} got several purchases: {ids:?}"));
    }
    check
}

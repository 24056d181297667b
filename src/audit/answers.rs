//! Checks 4 to 10: what clients were told, against the stores.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Answer, Attempt, Check, Evidence, History, Kind, Operation};
use crate::domain::Purchase;

/// Clients and admission are told apart by their clocks.
const CLOCKS_MS: i64 = 1_000;

pub(super) fn checks(evidence: &Evidence, history: &History) -> Vec<Check> {
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.id.to_string(), row)).collect();
    vec![
        every_success_is_a_row(evidence, history, &rows),
        every_row_was_attempted(evidence, history),
        every_unknown_is_whole(evidence, history),
        never_sold_out_too_early(evidence, history),
        nothing_outside_the_window(evidence, history),
        no_state_goes_back(history),
        always_the_first_purchase(evidence, history),
    ]
}

/// What this run could not have shown.
pub(super) fn doubts(evidence: &Evidence, history: &History) -> Vec<String> {
    let mut doubts = Vec::new();
    for fault in history.faults.iter().filter(|fault| !fault.took_hold) {
        doubts.push(format!("the fault {} never took hold", fault.name));
    }
    if !history.buys().any(|attempt| attempt.outcome() == "SOLD_OUT") {
        doubts.push("nobody was told SOLD_OUT".to_owned());
    }
    let mut users = HashSet::new();
    if history.buys().all(|attempt| users.insert(&attempt.user)) {
        doubts.push("nobody tried twice".to_owned());
    }
    let (rows, total_stock) = (evidence.rows.len(), evidence.terms.total_stock);
    if rows < total_stock as usize {
        doubts.push(format!("the stock was not exhausted: {rows} of {total_stock}"));
    }
    doubts
}

fn every_success_is_a_row(
    evidence: &Evidence,
    history: &History,
    rows: &HashMap<String, &Purchase>,
) -> Check {
    let mut check = Check::new(4, "every SUCCESS is a row with that purchase and unit, or was revoked");
    let last_words = last_words(history);
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SUCCESS") {
        let answer = attempt.answer.clone().unwrap_or_default();
        let id = answer.purchase_id.unwrap_or_default();
        let durability = answer.durability.unwrap_or_default();
        // After a loss of Redis a purchase that only Redis had may have got another unit, or been revoked.
        let excused = durability == "redis" && history.redis_was_lost_after(attempt);
        let holds = if let Some(row) = rows.get(&id) {
            row.user.as_str() == attempt.user && (excused || Some(row.unit) == answer.unit)
        } else {
            let told = last_words.get(&*attempt.user).and_then(|asked| asked.answer.as_ref());
            excused && evidence.revocations.contains_key(&id) && told.is_some_and(knows_better)
        };
        check.look(holds, || {
            let found = match rows.get(&id) {
                Some(row) => format!("the ledger has it as unit {} of {}", row.unit, row.user),
                None if evidence.revocations.contains_key(&id) => {
                    "it was revoked without an excuse, or its buyer is not told why".to_owned()
                }
                None => "it is nowhere".to_owned(),
            };
            let unit = answer.unit.unwrap_or_default();
            format!("{} was told SUCCESS ({durability}), purchase {id}, unit {unit}: {found}", attempt.user)
        });
    }
    check
}

/// Of each user, the last answer to a question about their purchase: asked when everything was quiet.
fn last_words(history: &History) -> HashMap<&str, &Attempt> {
    let asked = history.attempts.iter();
    let answered = asked.filter(|attempt| attempt.operation == Operation::Status && attempt.kind == Kind::Ok);
    answered.map(|attempt| (&*attempt.user, attempt)).collect()
}

/// Whoever lost a purchase is told that, and why; or has another one.
fn knows_better(told: &Answer) -> bool {
    told.has_purchased == Some(true) || (told.state.as_deref() == Some("REVOKED") && told.reason.is_some())
}

fn every_row_was_attempted(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(5, "no row without an attempt");
    let tried: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind != Kind::Refused)
        .map(|attempt| &*attempt.user)
        .collect();
    for row in evidence.rows.iter().filter(|row| !evidence.before.contains(&row.id)) {
        check.look(tried.contains(row.user.as_str()), || {
            format!("{} has unit {} and never tried to buy", row.user, row.unit)
        });
    }
    check
}

/// The final state of a user, of whom the last question was answered when everything was quiet.
fn every_unknown_is_whole(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(6, "an attempt whose outcome is unknown is wholly there or wholly absent");
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.user.as_str(), row)).collect();
    let last_words = last_words(history);
    let unknown: HashSet<_> = history
        .buys()
        .filter(|attempt| attempt.kind == Kind::Unknown)
        .map(|attempt| &*attempt.user)
        .collect();
    for user in unknown {
        let row = rows.get(user);
        let Some(told) = last_words.get(user).and_then(|attempt| attempt.answer.as_ref()) else {
            check.look(false, || format!("{user} was never asked about again"));
            continue;
        };
        let has = told.has_purchased.unwrap_or(false);
        let same = match row {
            Some(row) => {
                has && told.purchase_id.as_deref() == Some(&*row.id.to_string())
                    && told.unit == Some(row.unit)
            }
            None => !has,
        };
        check.look(same, || {
            format!("{user} is told hasPurchased = {has}, and the ledger has {}", row.map_or(0, |_| 1))
        });
    }
    check
}

fn never_sold_out_too_early(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(7, "nobody is told SOLD_OUT while units were certainly left");
    // When each user could first have taken a unit: not before their first attempt that may have taken one.
    let mut first_taken: BTreeMap<&str, i64> = BTreeMap::new();
    let may_have_won = |attempt: &&Attempt| {
        attempt.kind == Kind::Unknown || matches!(attempt.outcome(), "SUCCESS" | "PURCHASED")
    };
    for attempt in history.buys().filter(may_have_won) {
        let first = first_taken.entry(&attempt.user).or_insert(attempt.start);
        *first = attempt.start.min(*first);
    }
    let mut times: Vec<_> = first_taken.into_values().collect();
    times.sort_unstable();
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SOLD_OUT") {
        let taken_at_most = evidence.before.len() + times.partition_point(|start| *start <= attempt.end);
        check.look(taken_at_most >= evidence.terms.total_stock as usize, || {
            format!("{} was told SOLD_OUT when at most {taken_at_most} units were taken", attempt.user)
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
        check.look(!early && !late, || format!("{} was admitted at {}", row.user, row.admitted_at));
    }
    for attempt in history.buys().filter(|attempt| attempt.outcome() == "SUCCESS") {
        let early = opens_at.is_some_and(|at| attempt.end + CLOCKS_MS < at.timestamp_millis());
        let late = closes_at.is_some_and(|at| attempt.start - CLOCKS_MS >= at.timestamp_millis());
        check.look(!early && !late, || {
            format!("{} was told SUCCESS between {} and {}", attempt.user, attempt.start, attempt.end)
        });
    }
    check
}

fn no_state_goes_back(history: &History) -> Check {
    let mut check = Check::new(9, "the state of a purchase never goes back");
    let mut seen: HashMap<&str, Vec<(&Attempt, &str)>> = HashMap::new();
    for attempt in &history.attempts {
        let state = attempt.answer.as_ref().and_then(|answer| answer.state.as_deref());
        if let (Some(id), Some(state)) = (attempt.purchase(), state) {
            seen.entry(id).or_default().push((attempt, state));
        }
    }
    for (id, states) in seen {
        // The earliest answer that named a final state; whoever asked after it must hear the same.
        let settled = states.iter().filter(|(_, state)| *state != "PENDING");
        let Some((first, state)) = settled.min_by_key(|(attempt, _)| attempt.end) else {
            check.look(true, String::new);
            continue;
        };
        let back = states.iter().find(|(later, other)| later.start > first.end && other != state);
        check.look(back.is_none(), || {
            format!("purchase {id} was {state}, and then {}", back.map_or("", |(_, other)| other))
        });
    }
    check
}

fn always_the_first_purchase(evidence: &Evidence, history: &History) -> Check {
    let mut check = Check::new(10, "PURCHASED always names the user's first purchase");
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for attempt in history.buys() {
        if let Some(id) = attempt.purchase() {
            // Only by a loss of Redis can a user have been given another one; this one was revoked then.
            let excused = history.redis_was_lost_after(attempt) && evidence.revocations.contains_key(id);
            let ids = named.entry(&attempt.user).or_default();
            if !excused {
                ids.insert(id);
            }
        }
    }
    for (user, ids) in named {
        check.look(ids.len() <= 1, || format!("{user} was told of several purchases: {ids:?}"));
    }
    check
}

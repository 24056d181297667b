//! What must hold: while the sale runs, and when everything is healthy again.

use std::{collections::BTreeSet, time::Duration};

use flashsale::{
    audit::{Attempt, AttemptKind, AuditResult, Evidence, GatherError, History, Operation, Sources, audit},
    broker::BrokerError,
    domain::UserId,
    runtime::Runtime,
    stores::Stores,
};
use tokio::time::sleep;

use crate::{buyers, executor::WORLD, world::World};

/// Every SUCCESS is recorded within this time after all parts are healthy (G5).
const RECORDED_WITHIN: Duration = Duration::from_mins(1);
/// A publisher connects and sends what it has kept within this time, of the time above.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(12);
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const LAW_INTERVAL: Duration = Duration::from_millis(100);
/// Latecomers that find no unit before the sale counts as sold out.
const ATTEMPTS_MAX: u32 = 200;

/// Checks the conservation law, again and again, in one instant of all stores. After a loss of Redis it holds only
/// once the state is rebuilt, which the audit checks.
pub(crate) async fn watch_the_law(world: World) {
    while !world.redis_was_lost() {
        if let Some(broken) = broken_law(&world) {
            return world.add_violation(format!("conservation law: {broken}"));
        }
        sleep(LAW_INTERVAL).await;
    }
}

/// `total = remaining + in flight + recorded + dead-lettered + withheld`, where a purchase that is recorded and still
/// in the outbox counts once, and so does a unit that returns to stock and is not there yet.
fn broken_law(world: &World) -> Option<String> {
    let World { redis, database, product, .. } = world;
    let server = redis.address();
    let key = |name: &str| format!("flashsale:{{{}}}:{name}", product.id);
    let ask = |words: &[&str]| redis.run(server, words).ok();
    let number = |words: &[&str]| redis::from_redis_value::<Option<u64>>(ask(words)?).ok()?;
    let (sale, outbox) = (key("sale"), key("outbox"));
    let field = |name: &str| number(&["HGET", &sale, name]);
    let (epoch, total, next) = (field("epoch")?, field("total")?, field("next")?);
    let free = number(&["LLEN", &key("free")])?;
    let dead = number(&["SCARD", &key("dead")])?;
    let entries: redis::streams::StreamRangeReply =
        redis::from_redis_value(ask(&["XRANGE", &outbox, "-", "+"])?).ok()?;
    let state = database.lock();
    let opened = state.tables.opened_epoch(&product.id);
    let rows: BTreeSet<_> = state.tables.rows(&product.id, 0).map(|row| row.id.to_string()).collect();
    let cancelled: Vec<_> = state.tables.cancelled().cloned().collect();
    let withheld = state.tables.withheld(&product.id).len() as u64;
    drop(state);
    if opened != epoch {
        return None;
    }
    let in_flight = entries.ids.iter().filter(|entry| {
        let id: Option<String> = entry.get("id");
        id.is_none_or(|id| {
            !rows.contains(&id) && !cancelled.iter().any(|row| row.purchase.id.to_string() == id)
        })
    });
    // Admission has these as winners still.
    let returning = cancelled.iter().filter(|row| row.claims().withheld.is_none()).filter(|row| {
        let field = ask(&["HGET", &key("buyers"), row.purchase.user.as_str()]);
        let record = field.and_then(|reply| redis::from_redis_value::<Option<String>>(reply).ok()?);
        let (unit, id) = (row.purchase.unit, row.purchase.id);
        record.is_some_and(|record| record.starts_with(&format!("{unit} {id} ")) && !record.ends_with(" C"))
    });
    let returning = returning.count() as u64;
    let (in_flight, rows) = (in_flight.count() as u64, rows.len() as u64);
    let sum = free + total.saturating_sub(next) + in_flight + rows + dead + withheld + returning;
    (sum != total).then(|| {
        format!(
            "{total} units, and {free} free + {next} handed out, {in_flight} in flight, {rows} rows, {dead} dead, \
             {withheld} withheld, {returning} returning"
        )
    })
}

/// Ends all faults and starts what is not running.
pub(crate) fn heal(world: &World) {
    let World { sim, database, rabbit, redis, .. } = world;
    sim.note(WORLD, "everything is healed");
    database.set_reach(sim, crate::ledger::Reach::Up);
    database.set_replies_lost(sim, 0);
    rabbit.set_confirms(sim, crate::rabbit::Confirms::Prompt);
    rabbit.set_alarm(sim, false);
    rabbit.start(sim);
    let server = redis.address();
    redis.kill_other_primaries(server);
    redis.heal(server);
    redis.set_full(server, false);
    redis.set_loading(server, false);
    redis.set_clock_ahead(server, 0);
    world.start_missing();
}

/// After the faults: everything is recorded in time, the stock can be sold, and the audit holds.
pub(crate) async fn judge(world: &World) -> Option<AuditResult> {
    heal(world);
    let (stores, runtime) = world.operator();
    replay_dead_letters(world, &stores).await;
    let sources = Sources {
        ledger: stores.ledger.clone(),
        admission: Some(stores.admission.clone()),
        broker: Some(stores.broker.clone()),
    };
    settled(world, (&sources, &runtime), "after the faults").await?;
    sell_the_rest(world).await?;
    settled(world, (&sources, &runtime), "after the last sale").await?;
    ask_everyone(world).await;
    let evidence = match sources.gather(&world.product.id).await {
        Ok(evidence) => evidence,
        Err(error) => {
            world.add_violation(format!("G5: the stores can't be read: {error}"));
            return None;
        }
    };
    let mut history = world.history();
    history.attempts.sort_by_key(|attempt| attempt.end);
    forget_what_nobody_knows(world, &evidence, &mut history);
    let report = audit(&evidence, Some(&history));
    for check in report.checks.iter().filter(|check| check.violations > 0) {
        let example = check.examples.iter().min().cloned().unwrap_or_default();
        world.add_violation(format!("check {}: {}: {example}", check.number, check.claim));
    }
    for doubt in &report.doubts {
        world.sim.note(WORLD, format_args!("doubt: {doubt}"));
    }
    Some(report.verdict)
}

/// A purchase that only Redis had (`redis`) is gone without a trace where Redis lost it and the process that answered,
/// which keeps what the broker has not confirmed, has ended as well. This is all that `redis` promises: such an attempt
/// counts as one whose outcome is unknown.
fn forget_what_nobody_knows(world: &World, evidence: &Evidence, history: &mut History) {
    let known = |id: &str| {
        evidence.revocations.contains_key(id)
            || evidence.rows.iter().any(|row| row.id.to_string() == id)
            || evidence.cancelled.iter().any(|row| row.purchase.id.to_string() == id)
    };
    let ended = world.answered_by_ended();
    let only_redis_had = |attempt: &&Attempt| {
        let durability = attempt.answer.as_ref().and_then(|answer| answer.durability.as_deref());
        durability == Some("redis") && history.redis_was_lost_after(attempt)
    };
    let ids = history.buys().filter(only_redis_had).filter_map(Attempt::purchase);
    let gone: BTreeSet<_> = ids.filter(|id| !known(id) && ended.contains(*id)).map(str::to_owned).collect();
    let is_gone = |attempt: &Attempt| attempt.purchase().is_some_and(|id| gone.contains(id));
    for attempt in history.attempts.iter_mut().filter(|attempt| is_gone(attempt)) {
        (attempt.kind, attempt.answer) = (AttemptKind::Unknown, None);
    }
    if !gone.is_empty() {
        world.sim.note(WORLD, format_args!("gone with Redis and the process that answered: {gone:?}"));
    }
}

async fn settled(world: &World, (sources, runtime): (&Sources, &Runtime), when: &str) -> Option<()> {
    // Of attempts without an answer, neither the outbox nor the queue shows what a publisher keeps in memory until it
    // reaches the broker, and what a process that is gone holds until its heartbeats have been missed.
    let mut left = RECORDED_WITHIN.saturating_sub(PUBLISHED_WITHIN);
    sleep(PUBLISHED_WITHIN).await;
    while world.rabbit.unacked() > 0 && !left.is_zero() {
        sleep(POLL_INTERVAL).await;
        left = left.saturating_sub(POLL_INTERVAL);
    }
    match sources.settle(&world.product.id, Some(&world.history()), left, runtime).await {
        Ok(()) => Some(()),
        Err(error) => {
            let error: GatherError = error;
            world.add_violation(format!("G5: not settled within 60 s {when}: {error}"));
            None
        }
    }
}

/// What an operator does once everything is healthy.
async fn replay_dead_letters(world: &World, stores: &Stores) {
    while world.rabbit.dead() > 0 {
        if let Err(error) = replay_all(stores).await {
            world.sim.note(WORLD, format_args!("dead letters are not replayed: {error}"));
            sleep(Duration::from_secs(1)).await;
            continue;
        }
        world.sim.note(WORLD, "dead letters are replayed");
        sleep(Duration::from_secs(1)).await;
    }
}

pub(crate) async fn replay_all(stores: &Stores) -> Result<(), BrokerError> {
    let Some(mut letters) = stores.broker.dead_letters().await? else { return Ok(()) };
    let mut replayed = Ok(());
    for _ in 0..letters.unread().await? {
        let Some(letter) = letters.next().await? else { break };
        replayed = letters.replay(&letter).await;
        if replayed.is_err() {
            break;
        }
    }
    letters.close().await;
    replayed
}

/// Latecomers buy until nothing is left.
async fn sell_the_rest(world: &World) -> Option<()> {
    for number in 0..ATTEMPTS_MAX {
        let user = UserId::parse(&format!("late-{number}")).expect("an id");
        if buyers::buy(world, &user).await != AttemptKind::Ok {
            sleep(Duration::from_millis(500)).await;
            buyers::buy(world, &user).await;
        }
        let history = world.history();
        if history.buys().any(|attempt| attempt.user == user.as_str() && attempt.outcome() == "SOLD_OUT") {
            // One who has a purchase asks again: it must be the same.
            let winner = history.buys().find(|attempt| attempt.outcome() == "SUCCESS");
            if let Some(user) = winner.and_then(|attempt| UserId::parse(&attempt.user).ok()) {
                buyers::buy(world, &user).await;
            }
            return Some(());
        }
    }
    world.add_violation("G9: the stock can't be sold after the faults".to_owned());
    None
}

/// Every user whose attempt may have had an effect looks up the purchase once more.
async fn ask_everyone(world: &World) {
    let history = world.history();
    let asked = history.attempts.iter();
    let asked =
        asked.filter(|attempt| attempt.operation == Operation::Buy && attempt.kind != AttemptKind::Refused);
    let users: BTreeSet<_> = asked.map(|attempt| attempt.user.clone()).collect();
    for user in users {
        let user = UserId::parse(&user).expect("an id");
        for _ in 0..10 {
            if buyers::status(world, &user).await == AttemptKind::Ok {
                break;
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

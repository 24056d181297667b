//! The scripts on redis-server against the state machine: random histories of all operations, of
//! changes of the server identity and of damage must have the same answers and leave the same
//! state.

mod run;
mod sides;
mod steps;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::support::{servers, stage::own};
use run::{Before, read, run};
pub(super) use sides::Claiming;
use sides::Sides;
use steps::{Step, history};

const CASES: u32 = 150;

/// Answers that the histories must have produced, by the beginning of their text: a comparison of
/// histories in which these never occur would prove nothing.
const OCCUR: [&str; 37] = [
    "admit Won",
    "admit Already Pending",
    "admit Already Confirmed",
    "admit Refused(SoldOut",
    "admit Refused(Upcoming",
    "admit Refused(Ended",
    "admit Refused(Paused",
    "admit NotReady",
    "admit OtherSystem",
    "settle OtherSystem",
    "withdraw OtherSystem",
    "withdraw NotReady",
    "sale SaleState",
    "sale NotReady",
    "sale Rebuilding",
    "sale Damaged",
    "find Purchase",
    "find Nothing { revocations: true",
    "reassign Moved",
    "reassign Other",
    "reassign NoUnitLeft",
    "reassign NotReady",
    "republish true",
    "admit Already Cancelled",
    "cancel true",
    "cancel false",
    "cancel NotReady",
    "bar ()",
    "bar NotReady",
    "rename true",
    "rename false",
    "configure false",
    "fence Later",
    "fence OtherSystem",
    "open OtherSystem",
    "open Stale",
    "open Incomplete",
];

async fn compare(
    sides: &Sides,
    history: Vec<Step>,
    seen: &mut BTreeMap<&str, u32>,
) -> Result<(), TestCaseError> {
    for step in history {
        let (product, sale) = (&sides.product, sides.snapshot());
        let before = Before { product, sale, now: sides.redis_time().await };
        match &step {
            Step::Server => sides.change_server().await,
            Step::System(number) => sides.change_system(*number),
            Step::Damage(damage) => sides.damage(damage).await,
            operation => {
                let real = run(&sides.redis, &before, operation).await;
                sides.adopt_time().await;
                prop_assert_eq!(&real, &run(&sides.memory, &before, operation).await, "{:?}", &step);
                note(&real, seen);
            }
        }
        let real = read(&sides.redis, product).await;
        prop_assert_eq!(&real, &read(&sides.memory, product).await, "after {:?}", &step);
        for answer in &real {
            note(answer, seen);
        }
    }
    Ok(())
}

fn note(answer: &str, seen: &mut BTreeMap<&str, u32>) {
    for beginning in OCCUR {
        *seen.entry(beginning).or_default() += u32::from(answer.starts_with(beginning));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_and_the_state_machine_agree_on_any_history() {
    // A server of its own, whose identity the histories change.
    let redis = own(|| servers::redis_with(&["--enable-debug-command", "yes"])).await;
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port)).expect("Redis URL");
    let connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let connections = Claiming::new(connection).await;
    let run = move || {
        let mut runner =
            TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let runtime = tokio::runtime::Handle::current();
        let (number, seen) = (AtomicU32::new(0), std::sync::Mutex::new(BTreeMap::new()));
        let result = runner.run(&history(), |history| {
            let product = format!("p{}", number.fetch_add(1, Ordering::Relaxed));
            let sides = Sides::new(connections.clone(), "t", &product);
            let mut seen = seen.lock().expect("not poisoned");
            runtime.block_on(compare(&sides, history, &mut seen))
        });
        result.unwrap_or_else(|error| panic!("{error}"));
        let seen = seen.into_inner().expect("not poisoned");
        let missing: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
        assert!(missing.is_empty() && !seen.is_empty(), "never occurred: {missing:?}");
    };
    tokio::task::spawn_blocking(run).await.expect("the property");
}

//! A random mixture of faults, by seed: whatever happens, and in whichever order, the audit holds.
//!
//! `scripts/test` runs [`SEEDS`]. `scripts/chaos --runs N [--seed S]` runs any number and prints the table.

mod failover;
mod plan;
mod strike;
mod system;

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, future::join_all};
use tokio::sync::Mutex;

use crate::support::{SOON, sale::Tally};
use plan::{Plan, Step};
use system::{Ground, System};

/// A fixed list, so that a failure in CI can be repeated.
const SEEDS: [u64; 4] = [11, 12, 13, 14];
/// Runs at a time, each on servers of its own.
const LANES: usize = 2;

/// What became of one run.
struct Outcome {
    seed: u64,
    faults: Vec<String>,
    tally: Tally,
    rows: i64,
    verdict: &'static str,
    /// The audit's report, and what the processes logged, if it does not hold.
    report: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mixture_of_faults_holds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match (number("CHAOS_RUNS"), number("CHAOS_SEED")) {
        (Some(runs), Some(seed)) => (0..runs).map(|run| seed.wrapping_add(run)).collect(),
        _ => SEEDS.into(),
    };
    println!("{}", Outcome::HEAD);
    let seeds = Mutex::new(seeds.into_iter().enumerate());
    let lanes = (0..LANES).map(async |_| {
        let ground = Ground::start().await;
        let mut broken = Vec::new();
        loop {
            let Some((number, seed)) = seeds.lock().await.next() else { return broken };
            // A run that can't go on is a result too, and must not end the others.
            let outcome = match AssertUnwindSafe(run(&ground, seed)).catch_unwind().await {
                Ok(outcome) => outcome,
                Err(panic) => {
                    ground.heal().await;
                    Outcome::stuck(seed, panic.downcast_ref::<String>().map_or("", String::as_str))
                }
            };
            println!("| {} {outcome}", number + 1);
            let Outcome { seed, verdict, report, .. } = outcome;
            broken.extend(report.map(|report| format!("seed {seed} is {verdict}:\n{report}")));
        }
    });
    let broken: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

/// One sale under the faults of a seed.
async fn run(ground: &Ground, seed: u64) -> Outcome {
    let plan = Plan::of(seed);
    let system = System::open(ground).await;
    let mut buyers = system.start_selling();
    for step in &plan.steps {
        match step {
            Step::Quiet(time) => crate::support::stage::lasts(*time).await,
            Step::Faults(faults) => system.suffer(faults).await,
        }
    }
    system.sale.release();
    let (code, report) = if buyers.done(SOON * 2).await {
        system.audit().await
    } else {
        (Some(1), "the buyers are not done: the sale has not gone on".to_owned())
    };
    let verdict = match code {
        Some(0) => "holds",
        Some(1) => "VIOLATED",
        _ => "unknown",
    };
    let report = (verdict != "holds").then(|| format!("{:?}\n{report}\n{}", plan.steps, system.logs()));
    let (faults, tally) = (system.sale.faults(), system.sale.tally());
    Outcome { seed, faults, tally, rows: system.rows().await, verdict, report }
}

impl Outcome {
    /// Of a run that did not come to its audit.
    fn stuck(seed: u64, why: &str) -> Self {
        let report = Some(why.to_owned());
        Self { seed, faults: Vec::new(), tally: Tally::default(), rows: 0, verdict: "STUCK", report }
    }

    const HEAD: &str = "| run | seed | attempts | SUCCESS: broker | redis | rows | verdict | faults that took hold |\n\
                        |---|---|---|---|---|---|---|---|";
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, faults, tally, rows, verdict, .. } = self;
        let Tally { attempts, broker, redis } = tally;
        let faults = faults.join(", ");
        write!(out, "| {seed} | {attempts} | {broker} | {redis} | {rows} | {verdict} | {faults} |")
    }
}

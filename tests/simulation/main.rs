//! Deterministic simulation: the product's own parts on simulated services, in simulated time. One seed decides
//! everything that happens. `scripts/simulate` runs any number of seeds.

#![allow(
    clippy::disallowed_methods,
    reason = "simulated services keep tokio's paused clock themselves, and tests choose seeds"
)]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "a list of one reads better as a list")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod buyers;
#[path = "../support/admission/mod.rs"]
mod cases;
mod conformance;
mod executor;
mod failures;
mod faults;
mod ledger;
mod link;
#[path = "../support/mutants/mod.rs"]
mod mutants;
mod operator;
mod oracle;
mod plan;
mod process;
mod rabbit;
mod redis;
mod run;
mod scenarios;
mod seeds;
mod sim;
mod trace;
mod traced;
mod world;

use std::{env, ops::Range};

use flashsale::audit::AuditResult;

use crate::{
    mutants::Mutant,
    run::{Setting, run},
    scenarios::{KNOWN_VIOLATIONS, MENDED, Scenario},
};

/// Failing seeds that are explained.
const EXPLAINED_MAX: usize = 3;
/// Seeds of each mended scenario.
const MENDED_SEEDS: u64 = 20;

/// The seeds and the setting that `scripts/simulate` asks for, or those of `scripts/test`.
fn asked() -> (Range<u64>, Setting) {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let seeds = variable("SIMULATION_SEEDS").map_or(0..200, |text| {
        let (first, last) = text.split_once("..").expect("SIMULATION_SEEDS is A..B");
        first.parse().expect("a number")..last.parse().expect("a number")
    });
    let scenario = variable("SIMULATION_SCENARIO").map(|name| {
        let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.unwrap_or_else(|| panic!("scenarios: {:?}", Scenario::ALL.map(Scenario::name)))
    });
    let mutant = variable("SIMULATION_MUTANT").map(|name| {
        let found = Mutant::ALL.into_iter().find(|mutant| mutant.name() == name);
        found.unwrap_or_else(|| panic!("mutants: {:?}", Mutant::ALL.map(Mutant::name)))
    });
    (seeds, Setting { scenario, mutant })
}

#[test]
fn guarantees_hold_under_any_mixture_of_faults() {
    let (seeds, setting) = asked();
    let (began, number) = (std::time::Instant::now(), seeds.end - seeds.start);
    let outcomes = seeds::run_all(seeds, setting);
    let proven = outcomes.iter().filter(|outcome| outcome.verdict == Some(AuditResult::Holds)).count();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.holds()).collect();
    println!(
        "{number} seeds, each twice, in {:.1?}: {proven} audits hold, {} seeds do not hold",
        began.elapsed(),
        failed.len()
    );
    for outcome in failed.iter().take(EXPLAINED_MAX) {
        println!("\n{}", seeds::explain(outcome.seed, setting));
    }
    let failed: Vec<_> = failed.iter().map(|outcome| outcome.seed).collect();
    assert!(failed.is_empty(), "seeds that do not hold: {failed:?}");
    // The rest could not have shown every error: a fault found nothing to strike, or nobody tried twice.
    assert!(proven * 4 >= outcomes.len() * 3, "only {proven} of {number} runs prove something");
}

#[test]
fn runs_of_different_seeds_differ() {
    let hashes = [1, 2].map(|seed| run(seed, Setting::default(), false).hash);
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn known_violations_are_still_found() {
    for (scenario, guarantee, seed) in KNOWN_VIOLATIONS {
        let outcome = run(*seed, Setting { scenario: Some(*scenario), mutant: None }, false);
        let is_found = outcome.violations.iter().any(|violation| violation.starts_with(guarantee));
        assert!(is_found, "{}: {outcome}: is it mended? Then remove it here", scenario.name());
    }
}

/// The ledger did not answer when the workers were told to go on after a rebuild: they never did.
#[test]
fn mended_seeds_hold() {
    const SEEDS: [u64; 7] = [300_113, 302_327, 302_349, 302_476, 303_741, 304_102, 305_132];
    let outcomes = seeds::in_parallel(&SEEDS, |seed| run(*seed, Setting::default(), false));
    let failed: Vec<_> = SEEDS.iter().zip(&outcomes).filter(|(_, outcome)| !outcome.holds()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn mended_scenarios_hold() {
    let cases: Vec<_> =
        MENDED.iter().flat_map(|scenario| (0..MENDED_SEEDS).map(|seed| (*scenario, seed))).collect();
    let failed = seeds::in_parallel(&cases, |(scenario, seed)| {
        let setting = Setting { scenario: Some(*scenario), mutant: None };
        let outcome = run(*seed, setting, false);
        (!outcome.holds()).then(|| format!("{}: {outcome}", scenario.name()))
    });
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Found from one start; `scripts/simulate --mutants` measures five, for the table of docs/RELIABILITY.md.
#[test]
fn every_mutant_is_found() {
    const SEEDS_MAX: u64 = 300;
    let starts = env::var("SIMULATION_STARTS").map_or(1, |number| number.parse().expect("a number"));
    let measured = seeds::in_parallel(&Mutant::ALL, |mutant| {
        let start = |number: u64| seeds::seeds_to_find(*mutant, 10_000 * number, SEEDS_MAX);
        (0..starts).map(start).collect::<Vec<_>>()
    });
    let mut missed = Vec::new();
    println!("| mutant | seeds needed | median |\n|---|---|---|");
    for (mutant, mut needed) in Mutant::ALL.into_iter().zip(measured) {
        let shown = |seeds: &Option<u64>| {
            seeds.map_or_else(|| format!("over {SEEDS_MAX}"), |seeds| seeds.to_string())
        };
        let all: Vec<_> = needed.iter().map(shown).collect();
        needed.sort_by_key(|seeds| seeds.unwrap_or(u64::MAX));
        let median = needed[needed.len() / 2];
        println!("| {} | {} | {} |", mutant.name(), all.join(", "), shown(&median));
        if median.is_none() {
            missed.push(mutant.name());
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}

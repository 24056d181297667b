//! Many seeds, on all cores.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    mutants::Mutant,
    run::{Outcome, Setting, run, run_twice},
};

/// Lines of a shortened trace.
const LINES_MAX: usize = 120;

/// Calls a function with each item, on all cores, and returns the results in the order of the items.
pub(crate) fn in_parallel<I: Sync, R: Send>(items: &[I], call: impl Fn(&I) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            let result = call(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(number, result);
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Runs each seed twice.
pub(crate) fn run_all(seeds: Range<u64>, setting: Setting) -> Vec<Outcome> {
    let seeds: Vec<_> = seeds.collect();
    in_parallel(&seeds, |seed| run_twice(*seed, setting))
}

/// How many seeds from `start` on it takes to find a mutant: the first that fails with it and holds without it.
pub(crate) fn seeds_to_find(mutant: Mutant, start: u64, most: u64) -> Option<u64> {
    let found = |seed: &u64| {
        let (with, without) = (Setting { mutant: Some(mutant), ..Setting::default() }, Setting::default());
        !run(*seed, with, false).holds() && run(*seed, without, false).holds()
    };
    (start..start + most).find(found).map(|seed| seed - start + 1)
}

/// A failing run for a person: what was violated, and what of the trace has to do with it.
pub(crate) fn explain(seed: u64, setting: Setting) -> String {
    let outcome = run(seed, setting, true);
    let words = outcome.violations.iter().flat_map(|violation| violation.split([' ', ',', '"']));
    let users: Vec<_> =
        words.filter(|word| word.starts_with("buyer-") || word.starts_with("late-")).collect();
    let is_about = |line: &str| {
        let names_user = line.split([' ', ':']).any(|word| users.contains(&word));
        names_user || NOTABLE.iter().any(|notable| line.contains(notable))
    };
    let lines: Vec<_> = outcome.trace.iter().filter(|line| is_about(line)).collect();
    let left_out = lines.len().saturating_sub(LINES_MAX);
    let shown: Vec<_> = lines.iter().take(LINES_MAX).map(|line| format!("\n{line}")).collect();
    let rest = if left_out > 0 { format!("\n… {left_out} more lines") } else { String::new() };
    format!("{outcome}\n{}{rest}", shown.concat())
}

/// What of a trace is shown whoever it is about.
const NOTABLE: &[&str] = &[
    "FAULT",
    "VIOLATION",
    "starts as",
    "crashes",
    "is frozen",
    "goes on",
    "is asked to end",
    "leads",
    "raise epoch",
    "open epoch",
    "is wiped",
    "is killed",
    "is up",
    "is restored",
    "is healed",
    "dead letter",
    "revoke",
];

//! One check of the audit.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    Holds,
    Violated,
    /// There was nothing to check.
    NotExercised,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// From 1 to 10.
    pub number: u8,
    pub claim: &'static str,
    /// The number of things that were checked.
    pub checked: usize,
    pub violations: usize,
    /// A few violations, the first ones that were found.
    pub examples: Vec<String>,
}

const EXAMPLES_MAX: usize = 5;

impl Check {
    pub(super) fn new(number: u8, claim: &'static str) -> Self {
        Self { number, claim, checked: 0, violations: 0, examples: Vec::new() }
    }

    pub fn result(&self) -> CheckResult {
        match (self.violations, self.checked) {
            (1.., _) => CheckResult::Violated,
            (0, 0) => CheckResult::NotExercised,
            (0, _) => CheckResult::Holds,
        }
    }

    pub(super) fn verify(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.violation(example);
        }
    }

    pub(super) fn violation(&mut self, example: impl FnOnce() -> String) {
        self.violations += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

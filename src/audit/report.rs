//! An audit's result, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::{Check, Verdict};

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The result.
    pub verdict: Verdict,
    /// The conservation law, with its numbers.
    pub law: Law,
    /// Why a run without counter-examples proves nothing.
    pub doubts: Vec<String>,
    /// What each check found.
    pub checks: Vec<Check>,
}

/// `total_stock = remaining + in flight + in the ledger + dead-lettered`
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Law {
    /// Units in the sale.
    pub total_stock: u32,
    /// Units that nobody has; `None`: admission can't be read from here.
    pub remaining: Option<u32>,
    /// Purchases in the outbox.
    pub in_flight: Option<usize>,
    /// Purchases in the ledger.
    pub in_ledger: usize,
    /// Purchases in the dead-letter queue.
    pub dead_lettered: usize,
}

impl Law {
    /// Whether the numbers add up; `None`: not all of them are known.
    pub fn holds(&self) -> Option<bool> {
        let sum = self.remaining? as usize + self.in_flight? + self.in_ledger + self.dead_lettered;
        Some(sum == self.total_stock as usize)
    }
}

impl fmt::Display for Law {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<usize>| number.map_or("?".to_owned(), |number| number.to_string());
        let sign = if self.holds() == Some(false) { "≠" } else { "=" };
        write!(
            out,
            "{} {sign} {} remaining + {} in flight + {} in the ledger + {} dead-lettered",
            self.total_stock,
            number(self.remaining.map(|remaining| remaining as usize)),
            number(self.in_flight),
            self.in_ledger,
            self.dead_lettered
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.law)?;
        for check in &self.checks {
            let result = if check.violations == 0 { "holds" } else { "VIOLATED" };
            let Check { number, claim, looked_at, violations, examples } = check;
            write!(out, "{number:>3}  {result:<9} {claim} ({looked_at} looked at")?;
            if *violations > 0 {
                write!(out, ", {violations} against it")?;
            }
            writeln!(out, ")")?;
            for example in examples {
                writeln!(out, "                 {example}")?;
            }
        }
        writeln!(out)?;
        match self.verdict {
            Verdict::Holds => writeln!(out, "The audit holds."),
            Verdict::Violated => writeln!(out, "The audit is VIOLATED."),
            Verdict::Unknown => {
                writeln!(out, "The audit proves nothing: no counter-example, but")?;
                self.doubts.iter().try_for_each(|doubt| writeln!(out, "  - {doubt}"))
            }
        }
    }
}

//! The conservation law: every unit of a sale is in exactly one place,
//! `total_stock = remaining + in_flight + recorded + dead_lettered + withheld`.

use std::fmt;

use serde::Serialize;

use super::{LedgerCounts, SaleState, grouped};

/// The units of one sale, or of several sales together. Always `total_stock` is the sum of
/// `remaining`, `in_flight`, `recorded`, `dead_lettered`, `withheld`, `returning` and `missing`,
/// less `moving` and `surplus`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conservation {
    pub total_stock: u64,
    /// Units that are not admitted.
    pub remaining: u64,
    /// Purchases in the outbox.
    pub in_flight: u64,
    /// Purchases in the ledger.
    #[serde(rename = "inLedger")]
    pub recorded: u64,
    /// Purchases that admission has marked as dead-lettered.
    pub dead_lettered: u64,
    /// Units of cancelled purchases that are not sold again.
    pub withheld: u64,
    /// Units of cancelled purchases on their way back to stock.
    pub returning: u64,
    /// Purchases that are counted twice, because they moved between two reads.
    pub moving: u64,
    /// Admitted purchases that are in no place.
    pub missing: u64,
    /// Purchases in the ledger that admission does not know.
    pub surplus: u64,
}

impl Conservation {
    /// From counts of one instant, or of a system at rest: any difference is an error.
    pub fn at_rest(
        total_stock: u64,
        remaining: u64,
        in_flight: u64,
        counts: LedgerCounts,
        dead_lettered: u64,
    ) -> Self {
        let LedgerCounts { recorded, withheld, returning } = counts;
        let sum = remaining + in_flight + recorded + dead_lettered + withheld + returning;
        Self {
            total_stock,
            remaining,
            in_flight,
            recorded,
            dead_lettered,
            withheld,
            returning,
            moving: 0,
            missing: total_stock.saturating_sub(sum),
            surplus: sum.saturating_sub(total_stock),
        }
    }

    /// From a system that is running. `before` and `after` are admission's state before and after
    /// the ledger was counted: admission gives its counts in one atomic read, the ledger cannot
    /// take part in it, and purchases move on in between. The number of rows must lie between what
    /// the two states allow, so no tolerance is needed.
    pub fn between(before: &SaleState, counts: LedgerCounts, after: &SaleState) -> Self {
        let LedgerCounts { recorded, withheld, returning } = counts;
        let admitted = |sale: &SaleState| u64::from(sale.terms.total_stock.saturating_sub(sale.remaining));
        let unrecorded = before.in_flight + before.dead;
        // What admission does not have to sell. A unit that returns may be back by `after`.
        let held = recorded + withheld;
        // A purchase that had left the outbox before the ledger was counted was in the ledger then.
        let missing = admitted(before).saturating_sub(unrecorded).saturating_sub(held + returning);
        // A row belongs to a purchase that was admitted before `after`; a unit may have been
        // returned since.
        let surplus = held.saturating_sub(admitted(after).max(admitted(before)));
        let counted_twice = (unrecorded + held + returning).saturating_sub(admitted(before));
        Self {
            total_stock: before.terms.total_stock.into(),
            remaining: before.remaining.into(),
            in_flight: before.in_flight,
            recorded,
            dead_lettered: before.dead,
            withheld,
            returning,
            moving: counted_twice.saturating_sub(surplus),
            missing,
            surplus,
        }
    }

    pub fn sum<'law>(laws: impl Iterator<Item = &'law Self>) -> Self {
        laws.fold(Self::default(), |sum, law| Self {
            total_stock: sum.total_stock + law.total_stock,
            remaining: sum.remaining + law.remaining,
            in_flight: sum.in_flight + law.in_flight,
            recorded: sum.recorded + law.recorded,
            dead_lettered: sum.dead_lettered + law.dead_lettered,
            withheld: sum.withheld + law.withheld,
            returning: sum.returning + law.returning,
            moving: sum.moving + law.moving,
            missing: sum.missing + law.missing,
            surplus: sum.surplus + law.surplus,
        })
    }

    pub fn holds(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }

    /// What is wrong where the law does not hold.
    pub fn difference(&self) -> String {
        match (self.missing, self.surplus) {
            (missing, 0) => format!("{missing} admitted purchases are neither recorded nor in flight"),
            (_, surplus) => format!("{surplus} purchases are recorded that admission does not know"),
        }
    }
}

impl fmt::Display for Conservation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [total_stock, remaining, in_flight, recorded, dead_lettered] =
            [self.total_stock, self.remaining, self.in_flight, self.recorded, self.dead_lettered]
                .map(grouped);
        let sign = if self.holds() { "=" } else { "≠" };
        write!(
            out,
            "{total_stock} {sign} {remaining} remaining + {in_flight} in flight + {recorded} in the ledger + \
             {dead_lettered} dead-lettered"
        )?;
        // Most sales have none of these.
        for (number, what) in [(self.withheld, "withheld"), (self.returning, "on their way back to stock")] {
            if number > 0 {
                write!(out, " + {} {what}", grouped(number))?;
            }
        }
        if self.moving > 0 {
            write!(out, " - {} counted twice on their way", self.moving)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Terms;

    fn sale(remaining: u32, in_flight: u64, dead: u64) -> SaleState {
        let terms = Terms { total_stock: 100, opens_at: None, closes_at: None, paused: false };
        let now = chrono::DateTime::UNIX_EPOCH;
        SaleState { epoch: 1, terms, next: 100 - remaining, remaining, in_flight, dead, newest: None, now }
    }

    /// Checks the equation of the type, and returns `missing` and `surplus`.
    fn checked(law: &Conservation) -> (u64, u64) {
        let sum = law.remaining + law.in_flight + law.recorded + law.dead_lettered;
        let sum = sum + law.withheld + law.returning + law.missing;
        assert_eq!(sum - law.moving - law.surplus, law.total_stock, "{law:?}");
        (law.missing, law.surplus)
    }

    fn rows(recorded: u64) -> LedgerCounts {
        LedgerCounts { recorded, ..LedgerCounts::default() }
    }

    proptest::proptest! {
        #[test]
        fn the_equation_balances_for_any_counts(
            (left_before, left_after) in (0_u32..=100, 0_u32..=100),
            (flight_before, flight_after) in (0_u64..=100, 0_u64..=100),
            dead in 0_u64..=100,
            (recorded, withheld, returning) in (0_u64..=250, 0_u64..=20, 0_u64..=20),
        ) {
            let (before, after) = (sale(left_before, flight_before, dead), sale(left_after, flight_after, dead));
            let counts = LedgerCounts { recorded, withheld, returning };
            checked(&Conservation::between(&before, counts, &after));
            checked(&Conservation::at_rest(100, left_before.into(), flight_before, counts, dead));
        }
    }

    #[test]
    fn at_rest_one_purchase_too_few_or_too_many_is_found() {
        for (number, missing, surplus) in [(39, 1, 0), (40, 0, 0), (41, 0, 1)] {
            let law = Conservation::at_rest(100, 57, 0, rows(number), 3);
            assert_eq!((checked(&law), law.holds()), ((missing, surplus), number == 40), "{number} rows");
        }
        let state = sale(57, 0, 3);
        // While the system runs, a dead letter that is replayed may be in the ledger as well for a
        // moment.
        for (number, missing, surplus) in [(39, 1, 0), (40, 0, 0), (43, 0, 0), (44, 0, 1)] {
            assert_eq!(
                checked(&Conservation::between(&state, rows(number), &state)),
                (missing, surplus),
                "{number} rows"
            );
        }
    }

    #[test]
    fn purchases_that_move_between_the_reads_are_no_difference() {
        // 20 were admitted, 12 of them in flight; then 30, of which 5; the ledger was counted in
        // between.
        let (before, after) = (sale(80, 12, 0), sale(70, 5, 0));
        let law = |number| checked(&Conservation::between(&before, rows(number), &after));
        for number in 8..=30 {
            assert_eq!(law(number), (0, 0), "{number} rows");
        }
        let shown = Conservation::between(&before, rows(10), &after).to_string();
        assert!(shown.starts_with("100 = 80 remaining + 12 in flight + 10 in the ledger + 0 dead-lettered"));
        assert!(shown.ends_with(" - 2 counted twice on their way"), "the equation is true: {shown}");
        assert_eq!((law(7), law(31)), ((1, 0), (0, 1)));
    }

    #[test]
    fn several_sales_are_the_sum_of_each() {
        let (one, other) = (sale(57, 0, 3), sale(80, 12, 0));
        let laws =
            [Conservation::between(&one, rows(40), &one), Conservation::between(&other, rows(7), &other)];
        let sum = Conservation::sum(laws.iter());
        assert_eq!((sum.total_stock, sum.remaining, sum.missing, sum.holds()), (200, 137, 1, false));
        assert_eq!(
            sum.to_string(),
            "200 ≠ 137 remaining + 12 in flight + 47 in the ledger + 3 dead-lettered"
        );
    }

    /// A cancelled purchase leaves the rows; its unit is withheld, or on its way back to stock
    /// until admission has it, and both may be counted for a moment.
    #[test]
    fn a_cancelled_purchase_is_accounted_for_at_each_moment() {
        let (admitted, returned) = (sale(57, 0, 3), sale(58, 0, 3));
        let counts = |withheld, returning| LedgerCounts { recorded: 39, withheld, returning };
        for (counts, sale) in [
            (counts(1, 0), &admitted),
            (counts(0, 1), &admitted),
            (counts(0, 1), &returned),
            (counts(0, 0), &returned),
        ] {
            let law = Conservation::between(sale, counts, sale);
            assert_eq!((checked(&law), law.holds()), ((0, 0), true), "{law}");
        }
        let law = Conservation::at_rest(100, 57, 0, counts(1, 0), 3);
        assert!(law.holds() && law.to_string().ends_with("3 dead-lettered + 1 withheld"), "{law}");
        assert!(!Conservation::between(&admitted, counts(0, 0), &admitted).holds());
    }
}

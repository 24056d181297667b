//! Whether the units of a sale add up: `total = remaining + in flight + in the ledger + dead-lettered`.
//!
//! Admission says three of these in one step, the ledger the fourth a moment later, and purchases move on in between. So
//! admission is asked before and after the ledger, and what the ledger says must lie between the two answers. No
//! tolerance is needed: while nothing moves, both are the same number.

use serde::Serialize;

use crate::domain::SaleState;

/// The units of a sale, or of all. Always `remaining + in_flight + in_ledger + dead_lettered + missing - moving - surplus`
/// is `total_stock`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conservation {
    /// Units in the sale.
    pub total_stock: u64,
    /// Units that nobody has.
    pub remaining: u64,
    /// Purchases in the outbox.
    pub in_flight: u64,
    /// Purchases in the ledger, a moment later.
    pub in_ledger: u64,
    /// Purchases in the dead-letter queue.
    pub dead_lettered: u64,
    /// Purchases that moved on in that moment, and so are counted twice.
    pub moving: u64,
    /// Purchases that admission has let go and the ledger does not have.
    pub missing: u64,
    /// Purchases in the ledger that admission does not know.
    pub surplus: u64,
}

impl Conservation {
    /// From what admission said before and after the ledger said how many rows it has.
    pub fn new(before: &SaleState, rows: u64, after: &SaleState) -> Self {
        let taken = |sale: &SaleState| u64::from(sale.terms.total_stock.saturating_sub(sale.remaining));
        let not_yet = before.in_flight + before.dead;
        // Whatever had left the outbox before the ledger was asked was in it.
        let missing = taken(before).saturating_sub(not_yet).saturating_sub(rows);
        // Whatever is in the ledger was taken before admission was asked again (and a unit may have been returned since).
        let surplus = rows.saturating_sub(taken(after).max(taken(before)));
        let twice = (not_yet + rows).saturating_sub(taken(before));
        Self {
            total_stock: before.terms.total_stock.into(),
            remaining: before.remaining.into(),
            in_flight: before.in_flight,
            in_ledger: rows,
            dead_lettered: before.dead,
            moving: twice.saturating_sub(surplus),
            missing,
            surplus,
        }
    }

    /// Of several sales together.
    pub fn sum<'law>(laws: impl Iterator<Item = &'law Self>) -> Self {
        laws.fold(Self::default(), |sum, law| Self {
            total_stock: sum.total_stock + law.total_stock,
            remaining: sum.remaining + law.remaining,
            in_flight: sum.in_flight + law.in_flight,
            in_ledger: sum.in_ledger + law.in_ledger,
            dead_lettered: sum.dead_lettered + law.dead_lettered,
            moving: sum.moving + law.moving,
            missing: sum.missing + law.missing,
            surplus: sum.surplus + law.surplus,
        })
    }

    /// Whether they add up.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Terms;

    fn sale(remaining: u32, in_flight: u64, dead: u64) -> SaleState {
        let terms = Terms { total_stock: 100, opens_at: None, closes_at: None, paused: false };
        let now = chrono::DateTime::UNIX_EPOCH;
        SaleState { epoch: 1, terms, next: 100 - remaining, remaining, in_flight, dead, now }
    }

    proptest::proptest! {
        #[test]
        fn the_equation_on_the_page_is_one(
            (left_before, left_after) in (0_u32..=100, 0_u32..=100),
            (flight_before, flight_after) in (0_u64..=100, 0_u64..=100),
            dead in 0_u64..=100,
            rows in 0_u64..=250,
        ) {
            let (before, after) = (sale(left_before, flight_before, dead), sale(left_after, flight_after, dead));
            checked(&before, rows, &after);
        }
    }

    /// What is missing, and what is too much, in an equation that is one.
    fn checked(before: &SaleState, rows: u64, after: &SaleState) -> (u64, u64) {
        let law = Conservation::new(before, rows, after);
        let sum = law.remaining + law.in_flight + law.in_ledger + law.dead_lettered + law.missing;
        assert_eq!(sum - law.moving - law.surplus, law.total_stock, "{law:?}");
        (law.missing, law.surplus)
    }

    #[test]
    fn at_rest_one_purchase_too_few_or_too_many_is_seen() {
        let state = sale(57, 0, 3);
        // The three dead letters may be in the ledger as well for a moment, after they were sent again.
        for (rows, missing, surplus) in [(39, 1, 0), (40, 0, 0), (43, 0, 0), (44, 0, 1)] {
            assert_eq!(checked(&state, rows, &state), (missing, surplus), "{rows} rows");
        }
        let sold_out = sale(0, 0, 0);
        for (rows, missing, surplus) in [(99, 1, 0), (100, 0, 0), (101, 0, 1)] {
            assert_eq!(checked(&sold_out, rows, &sold_out), (missing, surplus), "{rows} rows");
        }
    }

    #[test]
    fn what_moves_while_it_is_looked_at_is_no_difference() {
        // 20 were taken, 12 on their way; then 30, of which 5; the ledger was asked in between.
        let (before, after) = (sale(80, 12, 0), sale(70, 5, 0));
        for rows in 8..=30 {
            assert_eq!(checked(&before, rows, &after), (0, 0), "{rows} rows");
        }
        assert_eq!(checked(&before, 7, &after), (1, 0));
        assert_eq!(checked(&before, 31, &after), (0, 1));
    }

    #[test]
    fn all_sales_together_are_the_sum_of_each() {
        let (one, other) = (sale(57, 0, 3), sale(80, 12, 0));
        let laws = [Conservation::new(&one, 40, &one), Conservation::new(&other, 7, &other)];
        let sum = Conservation::sum(laws.iter());
        assert_eq!((sum.total_stock, sum.remaining, sum.missing, sum.holds()), (200, 137, 1, false));
    }
}

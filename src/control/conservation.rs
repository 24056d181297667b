//! Whether the units of a sale add up: `total = remaining + in flight + in the ledger + dead-lettered`.
//!
//! Admission says three of these in one step, the ledger the fourth a moment later, and purchases move on in between. So
//! admission is asked before and after the ledger, and what the ledger says must lie between the two answers. No
//! tolerance is needed: while nothing moves, both are the same number.

use serde::Serialize;

use crate::domain::SaleState;

/// The units of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conservation {
    /// Units in the sale.
    pub total_stock: u32,
    /// Units that nobody has.
    pub remaining: u32,
    /// Purchases in the outbox. While purchases move, some of them are in the ledger already.
    pub in_flight: u64,
    /// Purchases in the ledger.
    pub in_ledger: u64,
    /// Purchases in the dead-letter queue.
    pub dead_lettered: u64,
    /// Purchases that admission has let go and the ledger does not have.
    pub missing: u64,
    /// Purchases in the ledger that admission does not know.
    pub surplus: u64,
}

impl Conservation {
    /// From what admission said before and after the ledger said how many rows it has.
    pub fn new(before: &SaleState, rows: u64, after: &SaleState) -> Self {
        let taken = |sale: &SaleState| u64::from(sale.terms.total_stock.saturating_sub(sale.remaining));
        // Whatever had left the outbox before the ledger was asked was in it. Whatever is in the ledger was taken before
        // admission was asked again.
        let least = taken(before).saturating_sub(before.in_flight + before.dead);
        Self {
            total_stock: after.terms.total_stock,
            remaining: after.remaining,
            in_flight: after.in_flight,
            in_ledger: rows,
            dead_lettered: after.dead,
            missing: least.saturating_sub(rows),
            surplus: rows.saturating_sub(taken(after)),
        }
    }

    /// Whether they add up.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }

    /// How many purchases are counted twice at the moment, because they are in the ledger and still in the outbox.
    pub fn moving(&self) -> u64 {
        let sum = u64::from(self.remaining) + self.in_flight + self.in_ledger + self.dead_lettered;
        sum.saturating_sub(u64::from(self.total_stock))
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

    #[test]
    fn at_rest_one_purchase_too_few_or_too_many_is_seen() {
        // The three dead letters may be in the ledger as well for a moment, after they were sent again.
        for (rows, missing, surplus) in [(39, 1, 0), (40, 0, 0), (43, 0, 0), (44, 0, 1)] {
            let state = sale(57, 0, 3);
            let law = Conservation::new(&state, rows, &state);
            assert_eq!((law.missing, law.surplus), (missing, surplus), "{rows} rows");
        }
        let sold_out = sale(0, 0, 0);
        assert!(Conservation::new(&sold_out, 100, &sold_out).holds());
        assert_eq!(Conservation::new(&sold_out, 101, &sold_out).surplus, 1);
        assert_eq!(Conservation::new(&sold_out, 99, &sold_out).missing, 1);
    }

    #[test]
    fn what_moves_while_it_is_looked_at_is_no_difference() {
        // 20 were taken, 12 on their way; then 30, of which 5; the ledger was asked in between.
        let (before, after) = (sale(80, 12, 0), sale(70, 5, 0));
        for rows in 8..=30 {
            assert!(Conservation::new(&before, rows, &after).holds(), "{rows} rows");
        }
        assert_eq!(Conservation::new(&before, 7, &after).missing, 1);
        assert_eq!(Conservation::new(&before, 31, &after).surplus, 1);
        assert_eq!(Conservation::new(&before, 28, &after).moving(), 3);
    }
}

//! How fast a sale sells, and when it will be sold out at that rate.

use std::collections::VecDeque;

use super::snapshot::{Pace, ProductView};
use crate::domain::Phase;
use crate::observability::Attempt;

/// The rate that is shown is that of the last second; an end is foretold from the
/// mean of this many.
const POLLS: usize = 10;
/// A sale that ends later is not foretold.
const FORETOLD_MAX_S: f64 = 86_400.0;

/// The rates of the last polls.
#[derive(Debug, Default)]
pub(super) struct PaceMeter(VecDeque<f64>);

impl PaceMeter {
    pub(super) fn measure(&mut self, products: &[ProductView]) -> Pace {
        let rate = |product: &ProductView| product.totals.attempts_per_s.get(&Attempt::Success).copied();
        let sold_per_s = products.iter().filter_map(rate).sum();
        if self.0.len() == POLLS {
            self.0.pop_front();
        }
        self.0.push_back(sold_per_s);
        let on_sale = products.iter().filter(|product| product.phase == Some(Phase::Active));
        let left: u64 = on_sale.filter_map(|product| product.remaining).map(u64::from).sum();
        Pace { sold: products.iter().map(sold).sum(), sold_per_s, sold_out_in_ms: self.until_sold(left) }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "units and milliseconds of a day, far below 2^52"
    )]
    fn until_sold(&self, left: u64) -> Option<u64> {
        let mean = self.0.iter().sum::<f64>() / self.0.len().max(1) as f64;
        let seconds = left as f64 / mean;
        (left > 0 && mean > 0.0 && seconds < FORETOLD_MAX_S).then(|| (seconds * 1_000.0).round() as u64)
    }
}

/// Units that have a buyer. Withheld and returning ones are of the last count.
fn sold(product: &ProductView) -> Option<u64> {
    let gone = product.total_stock?.saturating_sub(product.remaining?);
    let ownerless = product.conservation.as_ref().map_or(0, |law| law.withheld + law.returning);
    Some(u64::from(gone).saturating_sub(ownerless))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_follows_from_the_mean_of_the_last_polls() {
        let mut meter = PaceMeter(VecDeque::from([100.0; POLLS]));
        assert_eq!(meter.until_sold(1_500), Some(15_000));
        assert_eq!((meter.until_sold(0), PaceMeter::default().until_sold(5)), (None, None));
        assert_eq!(meter.until_sold(100 * 86_400), None, "that is too far away");
        assert_eq!(meter.measure(&[]), Pace { sold: Some(0), sold_per_s: 0.0, sold_out_in_ms: None });
        assert_eq!(meter.0.len(), POLLS);
    }
}

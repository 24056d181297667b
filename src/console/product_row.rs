//! The list of products: one row each, those that need an operator first.

use super::{
    snapshot::ProductView,
    view::{Units, rate_text, until},
};
use crate::domain::{Phase, countdown, grouped};

/// A product as the list shows it.
pub(super) struct ProductRow<'page> {
    pub(super) product: &'page ProductView,
    pub(super) units: Option<Units<'page>>,
    /// In milliseconds since 1970.
    now: i64,
}

/// Trouble, then pauses, then what is on sale, then what opens next.
pub(super) fn rows(products: &[ProductView], now: i64) -> Vec<ProductRow<'_>> {
    let mut rows: Vec<_> =
        products.iter().map(|product| ProductRow { product, units: product.units(), now }).collect();
    // Stable: equal ones stay in the order of the catalogue, which also keeps a row in its place.
    rows.sort_by_key(|row| (row.rank(), row.product.opens_at.filter(|_| row.rank() == Rank::Upcoming)));
    rows
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Trouble,
    Paused,
    Live,
    Upcoming,
    SoldOut,
    Ended,
}

impl ProductRow<'_> {
    fn rank(&self) -> Rank {
        match self.product.phase {
            _ if self.product.trouble.is_some() || self.product.adds_up == Some(false) => Rank::Trouble,
            None => Rank::Trouble,
            Some(Phase::Paused) => Rank::Paused,
            Some(Phase::Active) => Rank::Live,
            Some(Phase::Upcoming) => Rank::Upcoming,
            Some(Phase::SoldOut) => Rank::SoldOut,
            Some(Phase::Ended) => Rank::Ended,
        }
    }

    pub(super) fn badge(&self) -> String {
        match (self.product.phase, self.product.opens_at) {
            (Some(Phase::Upcoming), Some(at)) => format!("Opens in {}", countdown(until(at, self.now))),
            (Some(Phase::Upcoming), None) => "Upcoming".to_owned(),
            (Some(Phase::Active), _) => "Live".to_owned(),
            (Some(Phase::SoldOut), _) => "Sold out".to_owned(),
            (Some(Phase::Ended), _) => "Ended".to_owned(),
            (Some(Phase::Paused), _) => "Paused".to_owned(),
            (None, _) => "Not ready".to_owned(),
        }
    }

    pub(super) fn stock(&self) -> String {
        let number = |units: Option<u32>| units.map_or("?".to_owned(), grouped);
        format!("{} of {} left", number(self.product.remaining), number(self.product.total_stock))
    }

    pub(super) fn sold_per_s(&self) -> String {
        rate_text(self.product.totals.sold_per_s())
    }

    /// Whether the units are accounted for, in short: the key of the stylesheet, and the text.
    pub(super) fn adds_up(&self) -> (&'static str, &'static str) {
        self.units.as_ref().map_or(("unknown", "… not counted yet"), |units| (units.holds(), units.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::snapshot::Totals;

    fn product(id: &str, phase: Option<Phase>, opens_at: Option<i64>) -> ProductView {
        ProductView {
            id: id.to_owned(),
            name: String::new(),
            phase,
            trouble: None,
            opens_at,
            closes_at: None,
            total_stock: Some(12_000),
            remaining: Some(9_000),
            in_flight: Some(0),
            outbox_age_ms: Some(0),
            conservation: None,
            counted_at: None,
            adds_up: None,
            totals: Totals::default(),
        }
    }

    #[test]
    fn what_needs_an_operator_comes_first_and_then_what_is_live() {
        use Phase::{Active, Ended, Paused, SoldOut, Upcoming};
        let mut products = vec![
            product("ended", Some(Ended), None),
            product("gone", Some(SoldOut), None),
            product("later", Some(Upcoming), Some(90_000_000)),
            product("soon", Some(Upcoming), Some(60_000)),
            product("live", Some(Active), Some(5)),
            product("also", Some(Active), None),
            product("paused", Some(Paused), None),
            product("fenced", None, None),
            product("late", Some(Active), None),
        ];
        products[8].trouble = Some("why".to_owned());
        let rows = rows(&products, 1_000);
        let ids: Vec<_> = rows.iter().map(|row| row.product.id.as_str()).collect();
        assert_eq!(ids, ["fenced", "late", "paused", "live", "also", "soon", "later", "gone", "ended"]);
        assert_eq!(rows[6].badge(), "Opens in 1 d 0:59");
        assert_eq!((rows[3].stock().as_str(), rows[3].adds_up().0), ("9,000 of 12,000 left", "unknown"));
    }
}

//! What products were sold as.

use chrono::{DateTime, Utc};

use super::{Money, ProductId};

/// A product's name and price from an instant on. An offer never changes: a product that is given
/// another name or price has a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub product: ProductId,
    /// Counts the offers of the product, from 1.
    pub number: u32,
    /// By the ledger's clock.
    pub since: DateTime<Utc>,
    pub name: String,
    pub price: Money,
}

/// The offers of all products.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers(Vec<Offer>);

impl Offers {
    pub fn new(offers: Vec<Offer>) -> Self {
        Self(offers)
    }

    pub fn get(&self, product: &ProductId, number: u32) -> Option<&Offer> {
        self.of(product).find(|offer| offer.number == number)
    }

    /// The offer that held at an instant: `record.sql` gives it to a purchase that was admitted
    /// then. The first one counts before its own beginning, which is by another clock than
    /// admission's.
    pub fn at(&self, product: &ProductId, instant: DateTime<Utc>) -> Option<&Offer> {
        let held = self.of(product).filter(|offer| offer.number == 1 || offer.since <= instant);
        held.max_by_key(|offer| offer.number)
    }

    fn of(&self, product: &ProductId) -> impl Iterator<Item = &Offer> {
        self.0.iter().filter(move |offer| offer.product == *product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offer_that_had_begun_held() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let product = ProductId::parse("p").unwrap();
        let offer = |id: &str, number, since| Offer {
            product: ProductId::parse(id).unwrap(),
            number,
            since: at(since),
            name: format!("{id} {number}"),
            price: Money::parse("1", "USD").unwrap(),
        };
        let offers = Offers::new(vec![offer("p", 1, 10), offer("q", 1, 15), offer("p", 2, 20)]);
        for (second, number) in [(5, 1), (10, 1), (19, 1), (20, 2), (99, 2)] {
            assert_eq!(offers.at(&product, at(second)).unwrap().number, number, "at {second}");
        }
        assert_eq!(offers.get(&product, 2).unwrap().name, "p 2");
        assert_eq!(offers.get(&product, 3), None);
        assert_eq!(offers.at(&ProductId::parse("r").unwrap(), at(99)), None);
    }
}

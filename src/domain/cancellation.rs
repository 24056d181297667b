//! Purchases that an operator took back after they were recorded, and rights to buy that are used
//! up without a purchase that counts.

use chrono::{DateTime, Utc};

use super::{Purchase, PurchaseId, UserId};

/// Why and how an operator takes a recorded purchase back. The first decision
/// about a purchase stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    pub by: String,
    /// A sentence for the buyer.
    pub reason: String,
    /// The unit is withheld. If not, it returns to stock.
    pub keeps_unit: bool,
    /// If not, the buyer's one purchase is used up.
    pub may_buy_again: bool,
}

/// A purchase as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPurchase {
    /// With the unit that it has or, if it was cancelled, had.
    pub purchase: Purchase,
    /// What was sold: the number of an [`Offer`](super::Offer) of the product.
    pub offer: u32,
    /// By the ledger's clock.
    pub confirmed_at: DateTime<Utc>,
    /// When it was cancelled, by the ledger's clock, and how.
    pub cancelled: Option<(DateTime<Utc>, Cancellation)>,
}

/// A unit that a recorded purchase holds, and a right to buy that is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Of a purchase that counts.
    pub winner: Option<Purchase>,
    /// The purchase was cancelled, and keeps its buyer from another one.
    pub used: Option<UsedRight>,
    /// The purchase was cancelled, and its unit is not sold again.
    pub withheld: Option<u32>,
}

impl RecordedPurchase {
    /// Position in the order of units; several purchases had the same unit if some were cancelled.
    pub fn position(&self) -> (u32, PurchaseId) {
        (self.purchase.unit, self.purchase.id)
    }

    pub fn claims(&self) -> Claims {
        let purchase = self.purchase.clone();
        let Some((_, Cancellation { keeps_unit, may_buy_again, .. })) = &self.cancelled else {
            return Claims { winner: Some(purchase), ..Claims::default() };
        };
        let withheld = keeps_unit.then_some(purchase.unit);
        let unit = withheld.unwrap_or(0);
        let used = UsedRight { purchase: Purchase { unit, ..purchase }, is_cancelled: true };
        Claims { winner: None, used: (!may_buy_again).then_some(used), withheld }
    }
}

/// A right to buy that is used up, by a purchase that does not count: one that was cancelled, or
/// one that was made elsewhere and imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedRight {
    /// Its unit is the one that is withheld, or 0.
    pub purchase: Purchase,
    /// If not, it was imported.
    pub is_cancelled: bool,
}

/// A decision of an operator that the ledger has, and that admission must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionChange {
    /// Position among all changes, from 1.
    pub number: u64,
    pub kind: ChangeKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A purchase, with the unit that it had, was cancelled.
    Cancel { purchase: Purchase, keeps_unit: bool, may_buy_again: bool },
    /// A purchase that was made elsewhere, without a unit, was imported.
    Import(Purchase),
    /// A user of a product has another name.
    Rename { product: super::ProductId, user: UserId, pseudonym: UserId },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProductId;

    #[test]
    fn a_cancelled_purchase_holds_its_unit_and_its_right_as_was_decided() {
        let at = DateTime::from_timestamp_millis(1_000).unwrap();
        let purchase = Purchase {
            id: PurchaseId::new(at, [1, 2]),
            product: ProductId::parse("p").unwrap(),
            user: UserId::parse("a").unwrap(),
            unit: 7,
            admitted_at: at,
        };
        let mut recorded =
            RecordedPurchase { purchase: purchase.clone(), offer: 1, confirmed_at: at, cancelled: None };
        let counts = Claims { winner: Some(purchase.clone()), ..Claims::default() };
        assert_eq!(recorded.claims(), counts);
        let used = |unit| UsedRight { purchase: Purchase { unit, ..purchase.clone() }, is_cancelled: true };
        for (keeps_unit, may_buy_again, right, withheld) in [
            (false, false, Some(used(0)), None),
            (false, true, None, None),
            (true, false, Some(used(7)), Some(7)),
            (true, true, None, Some(7)),
        ] {
            let (by, reason) = ("ada".to_owned(), "refund".to_owned());
            recorded.cancelled = Some((at, Cancellation { by, reason, keeps_unit, may_buy_again }));
            assert_eq!(recorded.claims(), Claims { winner: None, used: right, withheld });
        }
    }
}

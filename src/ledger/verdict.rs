//! What became of a purchase that was given to the ledger.

use crate::domain::{Purchase, PurchaseId};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the ledger, now or since an earlier delivery.
    Recorded,
    /// It was taken back before, and stays so.
    Revoked,
    /// The user has another purchase, which stands.
    UserHasOther(Purchase),
    /// The unit is someone else's.
    UnitTaken,
    /// There is no such product.
    UnknownProduct,
    /// The unit is above the product's total stock.
    UnitOutOfRange {
        /// The product's total stock.
        total_stock: u32,
    },
    /// Another purchase has the same id.
    IdTaken,
}

/// What stands in the way of a purchase that was not inserted, as the database tells it.
pub(super) struct Obstacles {
    /// `None`: no such product.
    pub(super) total_stock: Option<u32>,
    pub(super) revoked: bool,
    /// The user's purchase of this product.
    pub(super) mine: Option<(PurchaseId, u32, chrono::DateTime<chrono::Utc>)>,
    pub(super) unit_taken: bool,
}

impl Obstacles {
    /// The verdict on `purchase`. A user's own purchase comes first: it decides whether this is a repetition.
    pub(super) fn verdict(self, purchase: &Purchase) -> Verdict {
        let Some(total_stock) = self.total_stock else { return Verdict::UnknownProduct };
        if self.revoked {
            return Verdict::Revoked;
        }
        match self.mine {
            Some((id, ..)) if id == purchase.id => Verdict::Recorded,
            Some((id, unit, admitted_at)) => {
                Verdict::UserHasOther(Purchase { id, unit, admitted_at, ..purchase.clone() })
            }
            None if purchase.unit > total_stock => Verdict::UnitOutOfRange { total_stock },
            None if self.unit_taken => Verdict::UnitTaken,
            None => Verdict::IdTaken,
        }
    }
}

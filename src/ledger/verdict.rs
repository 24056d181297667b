//! What became of a purchase that was given to the ledger.

use super::Admitted;
use crate::domain::{Purchase, PurchaseId};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the ledger now.
    Recorded,
    /// It has been in the ledger since an earlier delivery.
    RecordedBefore,
    /// It was taken back before, and stays so.
    Revoked {
        /// The user's other purchase.
        stands: Option<Purchase>,
        /// Whether the unit is someone else's.
        unit_taken: bool,
    },
    /// The user has another purchase, which stands.
    UserHasOther {
        /// That one.
        stands: Purchase,
        /// Whether the unit is someone else's, or of that purchase.
        unit_taken: bool,
    },
    /// The unit is someone else's.
    UnitTaken,
    /// An earlier incarnation of the admission state admitted it: its unit may have been handed out anew since.
    OldEpoch,
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
    /// The product's epoch.
    pub(super) epoch: u64,
}

impl Obstacles {
    /// The verdict. A user's own purchase comes first: it decides whether this is a repetition.
    pub(super) fn verdict(self, Admitted { epoch, purchase }: &Admitted) -> Verdict {
        let Some(total_stock) = self.total_stock else { return Verdict::UnknownProduct };
        let unit_taken = self.unit_taken;
        let mine =
            self.mine.map(|(id, unit, admitted_at)| Purchase { id, unit, admitted_at, ..purchase.clone() });
        match mine {
            Some(mine) if mine.id == purchase.id => Verdict::RecordedBefore,
            stands if self.revoked => Verdict::Revoked { stands, unit_taken },
            Some(stands) => Verdict::UserHasOther { stands, unit_taken },
            None if unit_taken => Verdict::UnitTaken,
            None if *epoch < self.epoch => Verdict::OldEpoch,
            None if purchase.unit > total_stock => Verdict::UnitOutOfRange { total_stock },
            None => Verdict::IdTaken,
        }
    }
}

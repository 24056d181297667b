//! What became of a purchase that was given to the ledger.

use chrono::{DateTime, Utc};

use super::{Entry, Purchase, PurchaseId};

/// The ledger's verdict on one purchase of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerVerdict {
    /// The purchase is in the ledger now.
    Recorded,
    /// The purchase has been in the ledger since an earlier delivery. It may
    /// have been cancelled since.
    RecordedBefore,
    /// The purchase was taken back before, and stays so.
    Revoked {
        /// The user's other purchase.
        stands: Option<Purchase>,
        /// Whether the unit is someone else's.
        unit_taken: bool,
    },
    /// The user has another purchase, which stands.
    UserHasOther {
        stands: Purchase,
        /// Whether the unit is someone else's, or of that purchase.
        unit_taken: bool,
    },
    /// An operator has cancelled the user's one purchase, another one.
    RightUsed {
        /// Whether the unit is someone else's.
        unit_taken: bool,
    },
    /// The unit is someone else's, or withheld.
    UnitTaken,
    /// An earlier incarnation of the admission state admitted it: its unit may have been
    /// handed out anew since.
    OldEpoch,
    UnknownProduct,
    /// The unit is above the product's total stock.
    UnitOutOfRange {
        total_stock: u32,
    },
    /// Another purchase has the same id.
    IdTaken,
}

/// What a user has of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsersPurchase {
    None,
    /// A purchase that counts: its id, its unit, and when it was admitted.
    Counts(PurchaseId, u32, DateTime<Utc>),
    /// A purchase that was cancelled, and that keeps the user from another one.
    Cancelled,
}

/// What kept a purchase from being inserted, as the ledger's tables tell it.
#[derive(Clone, Debug)]
pub struct Obstacles {
    /// `None`: no such product.
    pub total_stock: Option<u32>,
    /// The product's epoch.
    pub epoch: u64,
    pub revoked: bool,
    /// The ledger has this very purchase, under whatever name of its buyer.
    pub recorded: bool,
    /// What the user has of this product.
    pub mine: UsersPurchase,
    pub unit_taken: bool,
}

impl Obstacles {
    /// The verdict. Whether this is a replay comes first.
    pub fn verdict(self, Entry { epoch, purchase, .. }: &Entry) -> LedgerVerdict {
        let Some(total_stock) = self.total_stock else { return LedgerVerdict::UnknownProduct };
        let unit_taken = self.unit_taken;
        let stands = match self.mine {
            UsersPurchase::Counts(id, unit, admitted_at) => {
                Some(Purchase { id, unit, admitted_at, ..purchase.clone() })
            }
            UsersPurchase::None | UsersPurchase::Cancelled => None,
        };
        match stands {
            _ if self.recorded => LedgerVerdict::RecordedBefore,
            stands if self.revoked => LedgerVerdict::Revoked { stands, unit_taken },
            Some(stands) => LedgerVerdict::UserHasOther { stands, unit_taken },
            None if self.mine == UsersPurchase::Cancelled => LedgerVerdict::RightUsed { unit_taken },
            None if unit_taken => LedgerVerdict::UnitTaken,
            None if *epoch < self.epoch => LedgerVerdict::OldEpoch,
            None if purchase.unit > total_stock => LedgerVerdict::UnitOutOfRange { total_stock },
            None => LedgerVerdict::IdTaken,
        }
    }
}

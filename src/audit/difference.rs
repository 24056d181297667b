//! A difference between the stores: its kind, its usual cause, and how it is told to an operator.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{Conservation, Entry, Purchase, Terms, UserId};

/// A purchase, or a sale as a whole, about which the stores differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The purchase of the entry is recorded.
    StaleEntry(Entry),
    /// Admitted, and neither recorded nor in flight nor dead-lettered.
    LostOnTheWay(Purchase),
    /// In the outbox for more than a minute, or for a time that can't be known, and not recorded.
    Undelivered(Entry),
    /// Recorded, and unknown to admission.
    UnknownToAdmission(Purchase),
    OtherPurchase {
        admitted: Purchase,
        recorded: Purchase,
    },
    /// In the dead-letter queue, and neither recorded nor revoked nor known to admission.
    ForgottenLetter(Purchase),
    /// An operator has cancelled or imported it, or erased its buyer; admission does not follow.
    NotCarriedOver(Purchase),
    /// An operator has decided other terms than those that admission sells by.
    Terms {
        sold: Terms,
        decided: Terms,
    },
    /// The units of winners and the free units are not exactly those that were taken.
    Units(String),
    /// Units are missing or in two places, and nothing above says which.
    Law(Conservation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    StaleEntry,
    LostOnTheWay,
    Undelivered,
    UnknownToAdmission,
    OtherPurchase,
    ForgottenLetter,
    NotCarriedOver,
    Terms,
    Units,
    Law,
}

impl DifferenceKind {
    /// The name that JSON has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaleEntry => "stale-entry",
            Self::LostOnTheWay => "lost-on-the-way",
            Self::Undelivered => "undelivered",
            Self::UnknownToAdmission => "unknown-to-admission",
            Self::OtherPurchase => "other-purchase",
            Self::ForgottenLetter => "forgotten-letter",
            Self::NotCarriedOver => "not-carried-over",
            Self::Terms => "terms",
            Self::Units => "units",
            Self::Law => "law",
        }
    }

    /// The usual causes, for an operator.
    pub fn cause(self) -> &'static str {
        match self {
            Self::StaleEntry => {
                "a worker ended between its commit and the deletion of the outbox entry; harmless"
            }
            Self::LostOnTheWay => {
                "the database was restored to an earlier state, or an outbox entry was deleted by hand"
            }
            Self::Undelivered => {
                "no worker is running, the queue does not deliver, or a conflict can't be settled"
            }
            Self::UnknownToAdmission => "Redis lost the purchase, or the row was inserted by hand",
            Self::OtherPurchase => "Redis was rolled back, or the row was changed by hand",
            Self::ForgottenLetter => "the message was never a purchase of this system, or Redis lost it",
            Self::NotCarriedOver | Self::Terms => "no worker is running, or Redis was changed by hand",
            Self::Units | Self::Law => "Redis was changed by hand",
        }
    }

    /// A purchase that is only late, and one that is counted twice, are in the conservation law
    /// already. Terms move no unit.
    pub fn breaks_agreement(self) -> bool {
        !matches!(self, Self::StaleEntry | Self::Undelivered | Self::Terms)
    }
}

impl Difference {
    pub fn kind(&self) -> DifferenceKind {
        match self {
            Self::StaleEntry(_) => DifferenceKind::StaleEntry,
            Self::LostOnTheWay(_) => DifferenceKind::LostOnTheWay,
            Self::Undelivered(_) => DifferenceKind::Undelivered,
            Self::UnknownToAdmission(_) => DifferenceKind::UnknownToAdmission,
            Self::OtherPurchase { .. } => DifferenceKind::OtherPurchase,
            Self::ForgottenLetter(_) => DifferenceKind::ForgottenLetter,
            Self::NotCarriedOver(_) => DifferenceKind::NotCarriedOver,
            Self::Terms { .. } => DifferenceKind::Terms,
            Self::Units(_) => DifferenceKind::Units,
            Self::Law(_) => DifferenceKind::Law,
        }
    }

    /// `None`: the difference is about the sale as a whole.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::StaleEntry(entry) | Self::Undelivered(entry) => Some(&entry.purchase.user),
            Self::LostOnTheWay(purchase)
            | Self::UnknownToAdmission(purchase)
            | Self::ForgottenLetter(purchase)
            | Self::NotCarriedOver(purchase) => Some(&purchase.user),
            Self::OtherPurchase { admitted, .. } => Some(&admitted.user),
            Self::Terms { .. } | Self::Units(_) | Self::Law(_) => None,
        }
    }

    /// What each store has, for an operator.
    pub fn detail(&self) -> String {
        let shown = |purchase: &Purchase| format!("unit {} (purchase {})", purchase.unit, purchase.id);
        match self {
            Self::StaleEntry(entry) => {
                format!("{} is recorded, and in the outbox as {}", shown(&entry.purchase), entry.id)
            }
            Self::LostOnTheWay(purchase) => {
                format!("admission has {}; it is neither recorded nor in flight", shown(purchase))
            }
            Self::Undelivered(entry) => {
                format!("{} is in the outbox as {}", shown(&entry.purchase), entry.id)
            }
            Self::UnknownToAdmission(purchase) => {
                format!("the ledger has {}; admission does not have it", shown(purchase))
            }
            Self::OtherPurchase { admitted, recorded } => {
                format!("admission has {}, the ledger {}", shown(admitted), shown(recorded))
            }
            Self::ForgottenLetter(purchase) => {
                format!("{} is dead-lettered, and neither recorded nor revoked nor admitted", shown(purchase))
            }
            Self::NotCarriedOver(purchase) => {
                format!(
                    "the ledger has purchase {} as cancelled or imported, or its buyer as erased; admission does not",
                    purchase.id
                )
            }
            Self::Terms { sold, decided } => other_terms(sold, decided),
            Self::Units(detail) => detail.clone(),
            Self::Law(law) => format!("the units do not add up: {}", law.difference()),
        }
    }

    /// Whether both are about the same purchase or sale, at two points in time.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind(), self.user()) == (other.kind(), other.user())
    }
}

/// The terms that differ: "admission has `total_stock` 10, the ledger 20".
fn other_terms(sold: &Terms, decided: &Terms) -> String {
    let texts = |terms: &Terms| {
        let instant = |at: Option<DateTime<Utc>>| at.map_or("none".to_owned(), |at| at.to_rfc3339());
        let Terms { total_stock, opens_at, closes_at, paused } = terms;
        [
            ("total_stock", total_stock.to_string()),
            ("sale_start", instant(*opens_at)),
            ("sale_end", instant(*closes_at)),
            ("paused", (if *paused { "yes" } else { "no" }).to_owned()),
        ]
    };
    let both = texts(sold).into_iter().zip(texts(decided)).filter(|(sold, decided)| sold != decided);
    let lines: Vec<_> =
        both.map(|((term, sold), (_, decided))| format!("{term} {sold}, the ledger {decided}")).collect();
    format!("admission has {}", lines.join("; "))
}

//! The answers a buyer can get, and the phases a sale can be in.

use serde::Serialize;

/// What became of one purchase attempt. Every outcome is an ordinary answer, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The user now has a unit.
    Success,
    /// The user had one already; the answer names that same purchase.
    Purchased,
    /// No unit is left.
    SoldOut,
    /// The sale has not opened yet.
    Upcoming,
    /// The sale has closed.
    Ended,
    /// The operator has paused the sale.
    Paused,
}

/// Where a sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    Upcoming,
    /// Open, and units are left.
    Active,
    /// Open, and no unit is left.
    SoldOut,
    /// The window has closed.
    Ended,
    /// Stopped by the operator.
    Paused,
}

impl Phase {
    /// As answers and pages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "UPCOMING",
            Self::Active => "ACTIVE",
            Self::SoldOut => "SOLD_OUT",
            Self::Ended => "ENDED",
            Self::Paused => "PAUSED",
        }
    }

    /// The outcome of an attempt by a user who has no purchase yet; `None` means that a
    /// unit can be had.
    pub fn refusal(self) -> Option<Outcome> {
        match self {
            Self::Active => None,
            Self::Upcoming => Some(Outcome::Upcoming),
            Self::SoldOut => Some(Outcome::SoldOut),
            Self::Ended => Some(Outcome::Ended),
            Self::Paused => Some(Outcome::Paused),
        }
    }
}

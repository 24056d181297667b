//! What a visitor is told about an attempt or a question: on the page, or as JSON for its script.

use serde::Serialize;

use super::{receipt::receipt_url, text};
use crate::{
    domain::{Purchase, UserIdError},
    http::{Site, pages::Numbers},
    observability::Severity,
};

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Reply {
    Bought(Bought),
    Notice {
        severity: Severity,
        text: String,
        /// The attempt may have taken effect: another one tells.
        unsettled: bool,
    },
    /// What is wrong with the id that was typed.
    Field {
        text: &'static str,
    },
}

/// The card in place of the form.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bought {
    pub(super) title: &'static str,
    /// `No. 2`
    pub(super) number: String,
    /// `of 10,000`, or empty
    pub(super) of: String,
    pub(super) user: String,
    /// URL of the receipt.
    pub(super) receipt: String,
}

impl Bought {
    /// `total`: units of the product.
    pub(super) fn new(
        site: &Site,
        numbers: &Numbers,
        title: &'static str,
        purchase: &Purchase,
        total: u32,
    ) -> Self {
        let (number, of) = text::number_of(numbers, purchase.unit, total);
        let (user, receipt) = (purchase.user.to_string(), receipt_url(site, purchase));
        Self { title, number, of, user, receipt }
    }
}

impl Reply {
    pub(super) fn notice(severity: Severity, text: impl Into<String>) -> Self {
        Self::Notice { severity, text: text.into(), unsettled: false }
    }
}

impl From<UserIdError> for Reply {
    fn from(error: UserIdError) -> Self {
        let text = match error {
            UserIdError::Empty => text::FIELD_EMPTY,
            UserIdError::TooLong(_) => text::FIELD_LONG,
            UserIdError::NotPrintable => text::FIELD_SIGNS,
        };
        Self::Field { text }
    }
}

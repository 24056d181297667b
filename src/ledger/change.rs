//! A row of `admission_changes`, whichever database it is of.

use chrono::{DateTime, Utc};

use super::LedgerError;
use crate::domain::{AdmissionChange, ChangeKind, ProductId, Purchase, PurchaseId, UserId};

pub(super) struct ChangeColumns {
    pub(super) number: i64,
    pub(super) kind: String,
    pub(super) product_id: String,
    pub(super) user_id: String,
    pub(super) purchase_id: Option<PurchaseId>,
    pub(super) unit: u32,
    pub(super) admitted_at: Option<DateTime<Utc>>,
    pub(super) holds_unit: bool,
    pub(super) holds_right: bool,
    pub(super) pseudonym: Option<String>,
}

impl ChangeColumns {
    pub(super) fn change(self) -> Result<AdmissionChange, LedgerError> {
        let corrupt = || LedgerError::Corrupt("change of admission");
        let user = |text: &str| UserId::parse(text).map_err(|_why| LedgerError::Corrupt("user id"));
        let product =
            ProductId::parse(&self.product_id).map_err(|_why| LedgerError::Corrupt("product id"))?;
        let owner = user(&self.user_id)?;
        let kind = match (self.kind.as_str(), self.purchase_id, self.admitted_at, self.pseudonym) {
            ("rename", _, _, Some(pseudonym)) => {
                ChangeKind::Rename { product, user: owner, pseudonym: user(&pseudonym)? }
            }
            (kind, Some(id), Some(admitted_at), _) => {
                let purchase = Purchase { id, product, user: owner, unit: self.unit, admitted_at };
                let (keeps_unit, may_buy_again) = (self.holds_unit, !self.holds_right);
                match kind {
                    "cancel" => ChangeKind::Cancel { purchase, keeps_unit, may_buy_again },
                    "import" => ChangeKind::Import(purchase),
                    _ => return Err(corrupt()),
                }
            }
            _ => return Err(corrupt()),
        };
        Ok(AdmissionChange { number: self.number.unsigned_abs(), kind })
    }
}

/// A change's number as the column holds it.
pub(super) fn change_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

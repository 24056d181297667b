//! Changes that admission must follow, and what an erasure reads.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{Binary, Bool, Nullable, Text},
};

use crate::domain::{AdmissionChange, ChangeKind, ProductId, Purchase, PurchaseId, UserId};
use crate::ledger::{
    LedgerError,
    columns::{Counter, Id, Number, Timestamp},
};

#[derive(QueryableByName)]
pub(in crate::ledger) struct ChangeRow {
    #[diesel(sql_type = Counter)]
    number: u64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    product_id: ProductId,
    #[diesel(sql_type = Text)]
    user_id: UserId,
    #[diesel(sql_type = Nullable<Id>)]
    purchase_id: Option<PurchaseId>,
    #[diesel(sql_type = Number)]
    unit: u32,
    #[diesel(sql_type = Nullable<Timestamp>)]
    admitted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    holds_unit: bool,
    #[diesel(sql_type = Bool)]
    holds_right: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pseudonym: Option<UserId>,
}

impl TryFrom<ChangeRow> for AdmissionChange {
    type Error = LedgerError;

    fn try_from(row: ChangeRow) -> Result<Self, LedgerError> {
        let (product, user, number) = (row.product_id, row.user_id, row.number);
        let kind = match (row.kind.as_str(), row.purchase_id, row.admitted_at, row.pseudonym) {
            ("rename", _, _, Some(pseudonym)) => ChangeKind::Rename { product, user, pseudonym },
            (kind @ ("cancel" | "import"), Some(id), Some(admitted_at), _) => {
                let purchase = Purchase { id, product, user, unit: row.unit, admitted_at };
                let (keeps_unit, may_buy_again) = (row.holds_unit, !row.holds_right);
                match kind {
                    "cancel" => ChangeKind::Cancel { purchase, keeps_unit, may_buy_again },
                    _ => ChangeKind::Import(purchase),
                }
            }
            (kind, ..) => return Err(LedgerError::Corrupt(format!("change {number} ({kind})").into())),
        };
        Ok(Self { number, kind })
    }
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct PseudonymRow {
    #[diesel(sql_type = Text)]
    pub(in crate::ledger) pseudonym: String,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct DiscardRow {
    #[diesel(sql_type = Text)]
    pub(in crate::ledger) letter_id: String,
    #[diesel(sql_type = Nullable<Id>)]
    pub(in crate::ledger) purchase_id: Option<PurchaseId>,
    #[diesel(sql_type = Binary)]
    pub(in crate::ledger) body: Vec<u8>,
}

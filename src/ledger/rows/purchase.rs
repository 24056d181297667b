//! Purchases: those that count, those that were taken back, and those that were made elsewhere.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{Bool, Nullable, Text},
};

use crate::domain::{
    Cancellation, LedgerCounts, ProductId, Purchase, PurchaseId, PurchaseState, RecordedPurchase, Revocation,
    UserId,
};
use crate::ledger::columns::{Counter, Id, Number, Timestamp};

#[derive(QueryableByName)]
pub(in crate::ledger) struct PurchaseRow {
    #[diesel(sql_type = Id)]
    id: PurchaseId,
    #[diesel(sql_type = Text)]
    product_id: ProductId,
    #[diesel(sql_type = Text)]
    user_id: UserId,
    #[diesel(sql_type = Number)]
    unit: u32,
    #[diesel(sql_type = Timestamp)]
    admitted_at: DateTime<Utc>,
}

impl From<PurchaseRow> for Purchase {
    fn from(row: PurchaseRow) -> Self {
        let PurchaseRow { id, product_id: product, user_id: user, unit, admitted_at } = row;
        Self { id, product, user, unit, admitted_at }
    }
}

/// The columns of [`RecordedRow`].
pub(in crate::ledger) const RECORDED_COLUMNS: &str = "id, product_id, user_id, unit, admitted_at, offer,
    confirmed_at, cancelled_at, cancelled_by, cancel_reason, holds_unit, holds_right";

#[derive(QueryableByName)]
pub(in crate::ledger) struct RecordedRow {
    #[diesel(embed)]
    purchase: PurchaseRow,
    #[diesel(sql_type = Number)]
    offer: u32,
    #[diesel(sql_type = Timestamp)]
    confirmed_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    cancelled_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    cancelled_by: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    cancel_reason: Option<String>,
    #[diesel(sql_type = Bool)]
    holds_unit: bool,
    #[diesel(sql_type = Bool)]
    holds_right: bool,
}

impl From<RecordedRow> for RecordedPurchase {
    fn from(row: RecordedRow) -> Self {
        let cancellation = Cancellation {
            by: row.cancelled_by.unwrap_or_default(),
            reason: row.cancel_reason.unwrap_or_default(),
            keeps_unit: row.holds_unit,
            may_buy_again: !row.holds_right,
        };
        Self {
            purchase: row.purchase.into(),
            offer: row.offer,
            confirmed_at: row.confirmed_at,
            cancelled: row.cancelled_at.map(|at| (at, cancellation)),
        }
    }
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct CountsRow {
    #[diesel(sql_type = Counter)]
    recorded: u64,
    #[diesel(sql_type = Counter)]
    withheld: u64,
    #[diesel(sql_type = Counter)]
    on_its_way: u64,
}

impl From<CountsRow> for LedgerCounts {
    fn from(CountsRow { recorded, withheld, on_its_way: returning }: CountsRow) -> Self {
        Self { recorded, withheld, returning }
    }
}

/// A purchase that was revoked or cancelled.
#[derive(QueryableByName)]
pub(in crate::ledger) struct TakenBackRow {
    #[diesel(sql_type = Id)]
    purchase_id: PurchaseId,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = Bool)]
    is_cancelled: bool,
}

impl From<TakenBackRow> for Revocation {
    fn from(TakenBackRow { purchase_id: id, reason, is_cancelled }: TakenBackRow) -> Self {
        let state = if is_cancelled { PurchaseState::Cancelled } else { PurchaseState::Revoked };
        Self { id, reason, state }
    }
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct RevokedRow {
    #[diesel(sql_type = Id)]
    purchase_id: PurchaseId,
    #[diesel(sql_type = Text)]
    user_id: UserId,
}

impl From<RevokedRow> for (PurchaseId, UserId) {
    fn from(RevokedRow { purchase_id, user_id }: RevokedRow) -> Self {
        (purchase_id, user_id)
    }
}

/// A purchase that was made elsewhere and imported.
#[derive(QueryableByName)]
pub(in crate::ledger) struct EarlierRow {
    #[diesel(sql_type = Text)]
    user_id: UserId,
    #[diesel(sql_type = Id)]
    purchase_id: PurchaseId,
    #[diesel(sql_type = Timestamp)]
    imported_at: DateTime<Utc>,
}

impl EarlierRow {
    pub(in crate::ledger) fn purchase(self, product: &ProductId) -> Purchase {
        let Self { user_id: user, purchase_id: id, imported_at: admitted_at } = self;
        Purchase { id, product: product.clone(), user, unit: 0, admitted_at }
    }
}

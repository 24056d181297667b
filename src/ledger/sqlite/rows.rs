//! Rows of SQLite, and how they become values of the domain.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_types};

use super::{Confirmation, LedgerError, LedgerSale, purchase_id};
use crate::domain::{
    AdmissionChange, Cancellation, Entry, LedgerCounts, Obstacles, Product, ProductId, Purchase, PurchaseId,
    PurchaseState, RecordedPurchase, Revocation, SystemId, Terms, UserId, UsersPurchase,
};
use crate::ledger::{System, change::ChangeColumns, money};

/// A batch as `record.sql` takes it.
pub(super) fn to_json(batch: &[Entry]) -> String {
    let item = |Entry { epoch, purchase, .. }: &Entry| {
        serde_json::json!({
            "id": purchase.id,
            "product_id": purchase.product.as_str(),
            "user_id": purchase.user.as_str(),
            "unit": purchase.unit,
            "epoch": i64::try_from(*epoch).unwrap_or(i64::MAX),
            "admitted_at": purchase.admitted_at.timestamp_millis(),
        })
    };
    serde_json::Value::Array(batch.iter().map(item).collect()).to_string()
}

pub(super) fn instant(millis: i64) -> Result<DateTime<Utc>, LedgerError> {
    DateTime::from_timestamp_millis(millis).ok_or(LedgerError::Corrupt("time"))
}

pub(super) fn unit(column: i64) -> Result<u32, LedgerError> {
    u32::try_from(column).map_err(|_out_of_range| LedgerError::Corrupt("unit"))
}

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) id: String,
}

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) count: i64,
}

#[derive(QueryableByName)]
pub(super) struct SystemRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    prefix: String,
}

impl TryFrom<SystemRow> for System {
    type Error = LedgerError;

    fn try_from(SystemRow { id, prefix }: SystemRow) -> Result<Self, LedgerError> {
        let id = id.parse().map_err(|_not_a_uuid| LedgerError::Corrupt("system id"))?;
        Ok(Self { id: SystemId(id), prefix })
    }
}

#[derive(QueryableByName)]
pub(super) struct ProductRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Text)]
    description: String,
    #[diesel(sql_type = sql_types::Text)]
    image: String,
    #[diesel(sql_type = sql_types::BigInt)]
    price_minor: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    original_price_minor: Option<i64>,
    #[diesel(sql_type = sql_types::Text)]
    currency: String,
    #[diesel(sql_type = sql_types::BigInt)]
    total_stock: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    sale_start: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    sale_end: Option<i64>,
}

impl TryFrom<ProductRow> for Product {
    type Error = LedgerError;

    fn try_from(row: ProductRow) -> Result<Self, LedgerError> {
        let money = |minor| money(minor, &row.currency);
        Ok(Self {
            id: ProductId::parse(&row.id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            price: money(row.price_minor)?,
            original_price: row.original_price_minor.map(money).transpose()?,
            name: row.name,
            description: row.description,
            image: row.image,
            total_stock: unit(row.total_stock)?,
            sale_start: row.sale_start.map(instant).transpose()?,
            sale_end: row.sale_end.map(instant).transpose()?,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct SaleRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    epoch: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    total_stock: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    sale_start: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    sale_end: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    paused: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    highest_unit: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    lower_stock_to: Option<i64>,
}

#[derive(QueryableByName)]
pub(super) struct StockRow {
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    pub(super) lower_stock_to: Option<i64>,
}

impl TryFrom<SaleRow> for LedgerSale {
    type Error = LedgerError;

    fn try_from(row: SaleRow) -> Result<Self, LedgerError> {
        Ok(Self {
            product: ProductId::parse(&row.id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            epoch: row.epoch.unsigned_abs(),
            opened_epoch: row.epoch.unsigned_abs(),
            terms: Terms {
                total_stock: unit(row.total_stock)?,
                opens_at: row.sale_start.map(instant).transpose()?,
                closes_at: row.sale_end.map(instant).transpose()?,
                paused: row.paused,
            },
            highest_unit: unit(row.highest_unit.unwrap_or(0))?,
            lower_stock_to: row.lower_stock_to.map(unit).transpose()?,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct PurchaseRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    unit: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    admitted_at: i64,
}

impl PurchaseRow {
    pub(super) fn purchase(self, product: &ProductId) -> Result<Purchase, LedgerError> {
        Ok(Purchase {
            id: purchase_id(&self.id)?,
            product: product.clone(),
            user: UserId::parse(&self.user_id).map_err(|_why| LedgerError::Corrupt("user id"))?,
            unit: unit(self.unit)?,
            admitted_at: instant(self.admitted_at)?,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct RecordedRow {
    #[diesel(embed)]
    purchase: PurchaseRow,
    #[diesel(sql_type = sql_types::BigInt)]
    offer: i64,
    #[diesel(sql_type = sql_types::Text)]
    product_id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    confirmed_at: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    cancelled_at: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    cancelled_by: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    cancel_reason: Option<String>,
    #[diesel(sql_type = sql_types::Bool)]
    holds_unit: bool,
    #[diesel(sql_type = sql_types::Bool)]
    holds_right: bool,
}

impl RecordedRow {
    pub(super) fn recorded(self) -> Result<RecordedPurchase, LedgerError> {
        let cancellation = Cancellation {
            by: self.cancelled_by.unwrap_or_default(),
            reason: self.cancel_reason.unwrap_or_default(),
            keeps_unit: self.holds_unit,
            may_buy_again: !self.holds_right,
        };
        let product =
            ProductId::parse(&self.product_id).map_err(|_why| LedgerError::Corrupt("product id"))?;
        let purchase = self.purchase.purchase(&product)?;
        let cancelled = self.cancelled_at.map(instant).transpose()?.map(|at| (at, cancellation));
        let (offer, confirmed_at) = (unit(self.offer)?, instant(self.confirmed_at)?);
        Ok(RecordedPurchase { purchase, offer, confirmed_at, cancelled })
    }
}

#[derive(QueryableByName)]
pub(super) struct CountsRow {
    #[diesel(sql_type = sql_types::BigInt)]
    recorded: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    withheld: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    on_its_way: i64,
}

impl From<CountsRow> for LedgerCounts {
    fn from(CountsRow { recorded, withheld, on_its_way }: CountsRow) -> Self {
        let [recorded, withheld, returning] = [recorded, withheld, on_its_way].map(i64::unsigned_abs);
        Self { recorded, withheld, returning }
    }
}

#[derive(QueryableByName)]
pub(super) struct EarlierRow {
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Text)]
    purchase_id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    imported_at: i64,
}

impl EarlierRow {
    pub(super) fn purchase(self, product: &ProductId) -> Result<Purchase, LedgerError> {
        let user = UserId::parse(&self.user_id).map_err(|_why| LedgerError::Corrupt("user id"))?;
        let (id, admitted_at) = (purchase_id(&self.purchase_id)?, instant(self.imported_at)?);
        Ok(Purchase { id, product: product.clone(), user, unit: 0, admitted_at })
    }
}

#[derive(QueryableByName)]
pub(super) struct NumberRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) number: i64,
}

#[derive(QueryableByName)]
pub(super) struct PseudonymRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) pseudonym: String,
}

#[derive(QueryableByName)]
pub(super) struct ChangeRow {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
    #[diesel(sql_type = sql_types::Text)]
    kind: String,
    #[diesel(sql_type = sql_types::Text)]
    product_id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    purchase_id: Option<String>,
    #[diesel(sql_type = sql_types::BigInt)]
    unit: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    admitted_at: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    holds_unit: bool,
    #[diesel(sql_type = sql_types::Bool)]
    holds_right: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pseudonym: Option<String>,
}

impl ChangeRow {
    pub(super) fn change(self) -> Result<AdmissionChange, LedgerError> {
        let columns = ChangeColumns {
            number: self.number,
            kind: self.kind,
            product_id: self.product_id,
            user_id: self.user_id,
            purchase_id: self.purchase_id.as_deref().map(purchase_id).transpose()?,
            unit: unit(self.unit)?,
            admitted_at: self.admitted_at.map(instant).transpose()?,
            holds_unit: self.holds_unit,
            holds_right: self.holds_right,
            pseudonym: self.pseudonym,
        };
        columns.change()
    }
}

#[derive(QueryableByName)]
pub(super) struct ConfirmationRow {
    #[diesel(sql_type = sql_types::BigInt)]
    unit: i64,
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    confirmed_at: i64,
}

impl ConfirmationRow {
    pub(super) fn confirmation(self) -> Result<Confirmation, LedgerError> {
        let (unit, at) = (unit(self.unit)?, instant(self.confirmed_at)?);
        Ok(Confirmation { unit, id: purchase_id(&self.id)?, at })
    }
}

#[derive(QueryableByName)]
pub(super) struct TakenBackRow {
    #[diesel(sql_type = sql_types::Text)]
    purchase_id: String,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
    #[diesel(sql_type = sql_types::Bool)]
    is_cancelled: bool,
}

impl TakenBackRow {
    pub(super) fn revocation(self) -> Result<Revocation, LedgerError> {
        let state = if self.is_cancelled { PurchaseState::Cancelled } else { PurchaseState::Revoked };
        Ok(Revocation { id: purchase_id(&self.purchase_id)?, reason: self.reason, state })
    }
}

#[derive(QueryableByName)]
pub(super) struct RevokedRow {
    #[diesel(sql_type = sql_types::Text)]
    purchase_id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
}

impl RevokedRow {
    pub(super) fn revoked(self) -> Result<(PurchaseId, UserId), LedgerError> {
        let user = UserId::parse(&self.user_id).map_err(|_why| LedgerError::Corrupt("user id"))?;
        Ok((purchase_id(&self.purchase_id)?, user))
    }
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "they are columns")]
pub(super) struct ClassifyRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    total_stock: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    revoked: bool,
    #[diesel(sql_type = sql_types::Bool)]
    recorded: bool,
    #[diesel(sql_type = sql_types::Bool)]
    right_used: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    mine_id: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    mine_unit: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    mine_admitted_at: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    taken: bool,
}

impl ClassifyRow {
    pub(super) fn obstacles(&self) -> Result<Obstacles, LedgerError> {
        let mine = match (&self.mine_id, self.mine_unit, self.mine_admitted_at) {
            (Some(id), Some(number), Some(at)) => {
                UsersPurchase::Counts(purchase_id(id)?, unit(number)?, instant(at)?)
            }
            _ if self.right_used => UsersPurchase::Cancelled,
            _ => UsersPurchase::None,
        };
        Ok(Obstacles {
            total_stock: self.total_stock.map(unit).transpose()?,
            revoked: self.revoked,
            recorded: self.recorded,
            mine,
            unit_taken: self.taken,
            epoch: self.epoch.unwrap_or(0).unsigned_abs(),
        })
    }
}

//! Rows of SQLite, and how they become values of the domain.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_types};

use super::{Confirmation, LedgerError, LedgerSale, purchase_id};
use crate::domain::{
    Entry, Obstacles, Product, ProductId, Purchase, PurchaseId, Revocation, SystemId, Terms, UserId,
};
use crate::ledger::{System, money};

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

fn instant(millis: i64) -> Result<DateTime<Utc>, LedgerError> {
    DateTime::from_timestamp_millis(millis).ok_or(LedgerError::Corrupt("time"))
}

fn unit(column: i64) -> Result<u32, LedgerError> {
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
            lower_stock_to: None,
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
pub(super) struct ProductOfRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) product_id: String,
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
pub(super) struct RevocationRow {
    #[diesel(sql_type = sql_types::Text)]
    purchase_id: String,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
}

impl RevocationRow {
    pub(super) fn revocation(self) -> Result<Revocation, LedgerError> {
        Ok(Revocation { id: purchase_id(&self.purchase_id)?, reason: self.reason })
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
pub(super) struct ClassifyRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    total_stock: Option<i64>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    revoked: bool,
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
            (Some(id), Some(number), Some(at)) => Some((purchase_id(id)?, unit(number)?, instant(at)?)),
            _ => None,
        };
        Ok(Obstacles {
            total_stock: self.total_stock.map(unit).transpose()?,
            revoked: self.revoked,
            mine,
            unit_taken: self.taken,
            epoch: self.epoch.unwrap_or(0).unsigned_abs(),
        })
    }
}

//! Rows of PostgreSQL, and how they become values of the domain.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_types};
use uuid::Uuid;

use crate::domain::{Obstacles, Product, ProductId, Purchase, PurchaseId, SystemId, Terms, UserId};
use crate::ledger::{Confirmation, LedgerError, LedgerSale, System, money, number};

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: Uuid,
}

#[derive(QueryableByName)]
pub(super) struct NameRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) name: String,
}

#[derive(QueryableByName)]
pub(super) struct EpochRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) epoch: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) opened_epoch: i64,
}

#[derive(QueryableByName)]
pub(super) struct BoolRow {
    #[diesel(sql_type = sql_types::Bool)]
    pub(super) yes: bool,
}

#[derive(QueryableByName)]
pub(super) struct SystemRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    prefix: String,
}

impl From<SystemRow> for System {
    fn from(SystemRow { id, prefix }: SystemRow) -> Self {
        Self { id: SystemId(id), prefix }
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
    #[diesel(sql_type = sql_types::Integer)]
    total_stock: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_end: Option<DateTime<Utc>>,
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
            total_stock: number(row.total_stock),
            sale_start: row.sale_start,
            sale_end: row.sale_end,
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
    opened_epoch: i64,
    #[diesel(sql_type = sql_types::Integer)]
    total_stock: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_end: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    paused: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    highest_unit: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    lower_stock_to: Option<i32>,
}

impl TryFrom<SaleRow> for LedgerSale {
    type Error = LedgerError;

    fn try_from(row: SaleRow) -> Result<Self, LedgerError> {
        Ok(Self {
            product: ProductId::parse(&row.id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            epoch: row.epoch.unsigned_abs(),
            opened_epoch: row.opened_epoch.unsigned_abs(),
            terms: Terms {
                total_stock: number(row.total_stock),
                opens_at: row.sale_start,
                closes_at: row.sale_end,
                paused: row.paused,
            },
            highest_unit: number(row.highest_unit.unwrap_or(0)),
            lower_stock_to: row.lower_stock_to.map(number),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct PurchaseRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    product_id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Integer)]
    unit: i32,
    #[diesel(sql_type = sql_types::Timestamptz)]
    admitted_at: DateTime<Utc>,
}

impl PurchaseRow {
    pub(super) fn purchase(self) -> Result<Purchase, LedgerError> {
        Ok(Purchase {
            id: PurchaseId(self.id),
            product: ProductId::parse(&self.product_id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            user: user(&self.user_id)?,
            unit: number(self.unit),
            admitted_at: self.admitted_at,
        })
    }
}

fn user(text: &str) -> Result<UserId, LedgerError> {
    UserId::parse(text).map_err(|_why| LedgerError::Corrupt("user id"))
}

#[derive(QueryableByName)]
pub(super) struct ConfirmationRow {
    #[diesel(sql_type = sql_types::Integer)]
    unit: i32,
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Timestamptz)]
    confirmed_at: DateTime<Utc>,
}

impl ConfirmationRow {
    pub(super) fn confirmation(self) -> Confirmation {
        Confirmation { unit: number(self.unit), id: PurchaseId(self.id), at: self.confirmed_at }
    }
}

#[derive(QueryableByName)]
pub(super) struct RevocationRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) purchase_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Text)]
    pub(super) reason: String,
}

impl RevocationRow {
    pub(super) fn owner(self) -> Result<(PurchaseId, UserId), LedgerError> {
        Ok((PurchaseId(self.purchase_id), user(&self.user_id)?))
    }
}

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) count: i64,
}

#[derive(QueryableByName)]
pub(super) struct UnitRow {
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) unit: i32,
}

#[derive(QueryableByName)]
pub(super) struct StockRow {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    pub(super) lower_stock_to: Option<i32>,
}

#[derive(QueryableByName)]
pub(super) struct ClassifyRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: Uuid,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    total_stock: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    revoked: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    mine_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    mine_unit: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    mine_admitted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    taken: bool,
}

impl ClassifyRow {
    pub(super) fn obstacles(&self) -> Obstacles {
        let mine = (self.mine_id, self.mine_unit, self.mine_admitted_at);
        Obstacles {
            total_stock: self.total_stock.map(number),
            revoked: self.revoked,
            mine: match mine {
                (Some(id), Some(unit), Some(at)) => Some((PurchaseId(id), number(unit), at)),
                _ => None,
            },
            unit_taken: self.taken,
            epoch: self.epoch.unwrap_or(0).unsigned_abs(),
        }
    }
}

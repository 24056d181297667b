//! Rows of PostgreSQL, and how they become values of the domain.

use chrono::{DateTime, Utc};
use diesel::{AsChangeset, Insertable, Queryable, QueryableByName, Selectable, sql_types};
use uuid::Uuid;

use super::{
    LedgerError, LedgerSale, number,
    schema::{products, purchases},
};
use crate::domain::{Product, ProductId, Purchase, PurchaseId, Terms, UserId};
use crate::ledger::verdict::Obstacles;

/// What the catalogue decides about a product, but for its stock.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = products, treat_none_as_null = true)]
pub(super) struct ProductRow<'product> {
    id: &'product str,
    name: &'product str,
    description: &'product str,
    image: &'product str,
    price_minor: i64,
    original_price_minor: Option<i64>,
    currency: &'product str,
    sale_start: Option<DateTime<Utc>>,
    sale_end: Option<DateTime<Utc>>,
}

impl<'product> From<&'product Product> for ProductRow<'product> {
    fn from(product: &'product Product) -> Self {
        Self {
            id: product.id.as_str(),
            name: &product.name,
            description: &product.description,
            image: &product.image,
            price_minor: product.price.minor(),
            original_price_minor: product.original_price.as_ref().map(crate::domain::Money::minor),
            currency: product.price.currency(),
            sale_start: product.sale_start,
            sale_end: product.sale_end,
        }
    }
}

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: Uuid,
}

#[derive(QueryableByName)]
pub(super) struct EpochRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) epoch: i64,
}

#[derive(QueryableByName)]
pub(super) struct BoolRow {
    #[diesel(sql_type = sql_types::Bool)]
    pub(super) yes: bool,
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = purchases)]
pub(super) struct PurchaseRow {
    id: Uuid,
    user_id: String,
    unit: i32,
    admitted_at: DateTime<Utc>,
}

impl PurchaseRow {
    pub(super) fn purchase(self, product: &ProductId) -> Result<Purchase, LedgerError> {
        Ok(Purchase {
            id: PurchaseId(self.id),
            product: product.clone(),
            user: UserId::parse(&self.user_id).map_err(|_why| LedgerError::Corrupt("user id"))?,
            unit: number(self.unit),
            admitted_at: self.admitted_at,
        })
    }
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

//! Products, and the terms of their sales.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    backend::Backend,
    query_builder::{BoxedSqlQuery, SqlQuery},
    serialize::ToSql,
    sql_query,
    sql_types::{BigInt, Bool, HasSqlType, Nullable, Text},
};
use diesel_async::{AsyncConnectionCore, RunQueryDsl, methods::LoadQuery};

use crate::domain::{Money, Product, ProductId, Terms};
use crate::ledger::{
    LedgerError, LedgerSale,
    columns::{Counter, Number, Timestamp},
};

#[derive(QueryableByName)]
pub(in crate::ledger) struct ProductRow {
    #[diesel(sql_type = Text)]
    id: ProductId,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    description: String,
    #[diesel(sql_type = Text)]
    image: String,
    #[diesel(sql_type = BigInt)]
    price_minor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    original_price_minor: Option<i64>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Number)]
    total_stock: u32,
    #[diesel(sql_type = Nullable<Timestamp>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    sale_end: Option<DateTime<Utc>>,
}

impl TryFrom<ProductRow> for Product {
    type Error = LedgerError;

    fn try_from(row: ProductRow) -> Result<Self, LedgerError> {
        let money = |minor| money(minor, &row.currency);
        Ok(Self {
            price: money(row.price_minor)?,
            original_price: row.original_price_minor.map(money).transpose()?,
            id: row.id,
            name: row.name,
            description: row.description,
            image: row.image,
            total_stock: row.total_stock,
            sale_start: row.sale_start,
            sale_end: row.sale_end,
        })
    }
}

pub(super) fn money(minor: i64, currency: &str) -> Result<Money, LedgerError> {
    Money::from_minor(minor, currency).map_err(|error| LedgerError::Corrupt(error.into()))
}

/// See [`ProductLedger::products`](crate::ledger::ProductLedger::products).
pub(in crate::ledger) async fn read_products<C>(connection: &mut C) -> Result<Vec<Product>, LedgerError>
where
    C: AsyncConnectionCore,
    SqlQuery: LoadQuery<'static, C, ProductRow>,
{
    let query = sql_query(
        "SELECT id, name, description, image, price_minor, original_price_minor, currency,
                coalesce(lower_stock_to, total_stock) AS total_stock, sale_start, sale_end
         FROM products ORDER BY position, id",
    );
    let rows: Vec<ProductRow> = query.load(connection).await?;
    rows.into_iter().map(Product::try_from).collect()
}

/// A statement with the parameters of `add_product.sql`.
pub(in crate::ledger) fn bind_product<'product, DB>(
    sql: &str,
    product: &'product Product,
) -> BoxedSqlQuery<'product, DB, SqlQuery>
where
    DB: Backend + HasSqlType<Number> + HasSqlType<Timestamp>,
    str: ToSql<Text, DB>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    u32: ToSql<Number, DB>,
    DateTime<Utc>: ToSql<Timestamp, DB>,
{
    sql_query(sql)
        .into_boxed()
        .bind::<Text, _>(product.id.as_str())
        .bind::<Text, _>(&product.name)
        .bind::<Text, _>(&product.description)
        .bind::<Text, _>(&product.image)
        .bind::<BigInt, _>(product.price.minor())
        .bind::<Nullable<BigInt>, _>(product.original_price.as_ref().map(Money::minor))
        .bind::<Text, _>(product.price.currency())
        .bind::<Number, _>(product.total_stock)
        .bind::<Nullable<Timestamp>, _>(product.sale_start)
        .bind::<Nullable<Timestamp>, _>(product.sale_end)
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct SaleRow {
    #[diesel(sql_type = Text)]
    id: ProductId,
    #[diesel(sql_type = Counter)]
    epoch: u64,
    #[diesel(sql_type = Counter)]
    opened_epoch: u64,
    #[diesel(sql_type = Number)]
    total_stock: u32,
    #[diesel(sql_type = Nullable<Timestamp>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    sale_end: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    paused: bool,
    #[diesel(sql_type = Nullable<Number>)]
    highest_unit: Option<u32>,
    #[diesel(sql_type = Nullable<Number>)]
    lower_stock_to: Option<u32>,
}

impl From<SaleRow> for LedgerSale {
    fn from(row: SaleRow) -> Self {
        Self {
            product: row.id,
            epoch: row.epoch,
            opened_epoch: row.opened_epoch,
            terms: Terms {
                total_stock: row.total_stock,
                opens_at: row.sale_start,
                closes_at: row.sale_end,
                paused: row.paused,
            },
            highest_unit: row.highest_unit.unwrap_or(0),
            lower_stock_to: row.lower_stock_to,
        }
    }
}

//! Products: their terms and their order.

use diesel::{
    OptionalExtension,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query, sql_types as ty,
    sqlite::Sqlite,
};
use diesel_async::RunQueryDsl;

use super::{
    connect::Connection,
    rows::{CountRow, ProductRow, StockRow},
};
use crate::domain::{Money, Product, ProductId, order_after};
use crate::ledger::{LedgerError, check_stock};

pub(super) async fn add(connection: &mut Connection, products: &[Product]) -> Result<(), LedgerError> {
    for product in products {
        statement(include_str!("add_product.sql"), product).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn read(connection: &mut Connection) -> Result<Vec<Product>, LedgerError> {
    let rows: Vec<ProductRow> = sql_query(
        "SELECT id, name, description, image, price_minor, original_price_minor, currency,
                coalesce(lower_stock_to, total_stock) AS total_stock, sale_start, sale_end
         FROM products ORDER BY position, id",
    )
    .load(connection)
    .await?;
    rows.into_iter().map(Product::try_from).collect()
}

pub(super) async fn change(
    connection: &mut Connection,
    seen: &[Product],
    wanted: &[Product],
) -> Result<(), LedgerError> {
    if read(connection).await? != seen {
        return Err(LedgerError::ProductsChanged);
    }
    add(connection, wanted).await?;
    for product in wanted {
        statement(include_str!("change_product.sql"), product).execute(connection).await?;
        check_stock(product, highest_unit(connection, &product.id).await?)?;
    }
    for (place, product) in (1..).zip(order_after(seen, wanted)) {
        sql_query("UPDATE products SET position = ?1 WHERE id = ?2")
            .bind::<ty::BigInt, _>(place)
            .bind::<ty::Text, _>(product.as_str())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// A statement with the parameters of `add_product.sql`.
fn statement<'product>(sql: &str, product: &'product Product) -> BoxedSqlQuery<'product, Sqlite, SqlQuery> {
    let millis = |instant: Option<chrono::DateTime<chrono::Utc>>| instant.map(|at| at.timestamp_millis());
    sql_query(sql)
        .into_boxed()
        .bind::<ty::Text, _>(product.id.as_str())
        .bind::<ty::Text, _>(&product.name)
        .bind::<ty::Text, _>(&product.description)
        .bind::<ty::Text, _>(&product.image)
        .bind::<ty::BigInt, _>(product.price.minor())
        .bind::<ty::Nullable<ty::BigInt>, _>(product.original_price.as_ref().map(Money::minor))
        .bind::<ty::Text, _>(product.price.currency())
        .bind::<ty::BigInt, _>(i64::from(product.total_stock))
        .bind::<ty::Nullable<ty::BigInt>, _>(millis(product.sale_start))
        .bind::<ty::Nullable<ty::BigInt>, _>(millis(product.sale_end))
}

pub(super) async fn settle_stock(
    connection: &mut Connection,
    product: &ProductId,
    wanted: u32,
    lower: bool,
) -> Result<bool, LedgerError> {
    let asked: Option<StockRow> = sql_query("SELECT lower_stock_to FROM products WHERE id = ?1")
        .bind::<ty::Text, _>(product.as_str())
        .get_result(connection)
        .await
        .optional()?;
    let asked = asked.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
    if asked.lower_stock_to != Some(i64::from(wanted)) {
        return Ok(false);
    }
    let lowered = lower && highest_unit(connection, product).await? <= wanted;
    sql_query(
        "UPDATE products
         SET total_stock = CASE WHEN ?1 THEN lower_stock_to ELSE total_stock END, lower_stock_to = NULL
         WHERE id = ?2",
    )
    .bind::<ty::Bool, _>(lowered)
    .bind::<ty::Text, _>(product.as_str())
    .execute(connection)
    .await?;
    Ok(lowered)
}

async fn highest_unit(connection: &mut Connection, product: &ProductId) -> Result<u32, LedgerError> {
    let row: CountRow = sql_query(
        "SELECT coalesce(max(unit), 0) AS count FROM purchases WHERE product_id = ?1 AND holds_unit",
    )
    .bind::<ty::Text, _>(product.as_str())
    .get_result(connection)
    .await?;
    u32::try_from(row.count).map_err(|_negative| LedgerError::Corrupt("unit"))
}

//! Products: their terms, their order, and a stock that is asked for.

use diesel::{OptionalExtension, pg::Pg, query_builder::BoxedSqlQuery, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    lock,
    rows::{ProductRow, StockRow, UnitRow},
};
use crate::domain::{Money, Product, ProductId, order_after};
use crate::ledger::{LedgerError, check_stock, column, number};

pub(super) async fn add(connection: &mut AsyncPgConnection, products: &[Product]) -> Result<(), LedgerError> {
    lock(connection).await?;
    for product in products {
        statement(include_str!("add_product.sql"), product).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn read(connection: &mut AsyncPgConnection) -> Result<Vec<Product>, LedgerError> {
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
    connection: &mut AsyncPgConnection,
    seen: &[Product],
    wanted: &[Product],
) -> Result<(), LedgerError> {
    lock(connection).await?;
    if read(connection).await? != seen {
        return Err(LedgerError::ProductsChanged);
    }
    add(connection, wanted).await?;
    for product in wanted {
        statement(include_str!("change_product.sql"), product).execute(connection).await?;
        check_stock(product, highest_unit(connection, product.id.as_str()).await?)?;
    }
    let order = order_after(seen, wanted);
    sql_query(
        "UPDATE products SET position = place FROM unnest($1) WITH ORDINALITY AS ordered (name, place)
         WHERE id = ordered.name",
    )
    .bind::<ty::Array<ty::Text>, _>(order.iter().map(ProductId::as_str).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds up other writers of products until the transaction ends.
async fn lock(connection: &mut AsyncPgConnection) -> Result<(), LedgerError> {
    let lock = sql_query("SELECT pg_advisory_xact_lock($1)").bind::<ty::BigInt, _>(lock::PRODUCTS);
    lock.execute(connection).await?;
    Ok(())
}

/// A statement with the parameters of `add_product.sql`.
fn statement<'product>(
    sql: &str,
    product: &'product Product,
) -> BoxedSqlQuery<'product, Pg, diesel::query_builder::SqlQuery> {
    sql_query(sql)
        .into_boxed()
        .bind::<ty::Text, _>(product.id.as_str())
        .bind::<ty::Text, _>(&product.name)
        .bind::<ty::Text, _>(&product.description)
        .bind::<ty::Text, _>(&product.image)
        .bind::<ty::BigInt, _>(product.price.minor())
        .bind::<ty::Nullable<ty::BigInt>, _>(product.original_price.as_ref().map(Money::minor))
        .bind::<ty::Text, _>(product.price.currency())
        .bind::<ty::Integer, _>(column(product.total_stock))
        .bind::<ty::Nullable<ty::Timestamptz>, _>(product.sale_start)
        .bind::<ty::Nullable<ty::Timestamptz>, _>(product.sale_end)
}

pub(super) async fn settle_stock(
    connection: &mut AsyncPgConnection,
    product: &ProductId,
    wanted: u32,
    lower: bool,
) -> Result<bool, LedgerError> {
    let id = product.as_str();
    // Waits for the transactions that insert under the old stock, and holds up new ones.
    let asked: Option<StockRow> = sql_query("SELECT lower_stock_to FROM products WHERE id = $1 FOR UPDATE")
        .bind::<ty::Text, _>(id)
        .get_result(connection)
        .await
        .optional()?;
    let asked = asked.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
    if asked.lower_stock_to != Some(column(wanted)) {
        return Ok(false);
    }
    let lowered = lower && highest_unit(connection, id).await? <= wanted;
    let update = "UPDATE products
                  SET lower_stock_to = NULL, total_stock = CASE WHEN $2 THEN $3 ELSE total_stock END
                  WHERE id = $1";
    sql_query(update)
        .bind::<ty::Text, _>(id)
        .bind::<ty::Bool, _>(lowered)
        .bind::<ty::Integer, _>(column(wanted))
        .execute(connection)
        .await?;
    Ok(lowered)
}

async fn highest_unit(connection: &mut AsyncPgConnection, product: &str) -> Result<u32, LedgerError> {
    let row: UnitRow = sql_query(
        "SELECT coalesce(max(unit), 0) AS unit FROM purchases WHERE product_id = $1 AND holds_unit",
    )
    .bind::<ty::Text, _>(product)
    .get_result(connection)
    .await?;
    Ok(number(row.unit))
}

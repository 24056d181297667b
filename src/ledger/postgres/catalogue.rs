//! Products: the catalogue, and the stock that it asks for.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::rows::{StockRow, UnitRow};
use crate::domain::{Money, Product, ProductId};
use crate::ledger::{LedgerError, column, number};

/// Adds or changes one product. A lower stock is only noted.
pub(super) async fn upsert(connection: &mut AsyncPgConnection, product: &Product) -> Result<(), LedgerError> {
    sql_query(include_str!("upsert_product.sql"))
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
        .execute(connection)
        .await?;
    let highest_unit = highest_unit(connection, product.id.as_str()).await?;
    if product.total_stock < highest_unit {
        let (product, total_stock) = (product.id.clone(), product.total_stock);
        return Err(LedgerError::StockBelowSold { product, total_stock, highest_unit });
    }
    Ok(())
}

/// See [`crate::ledger::Ledger::settle_stock`].
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
    let row: UnitRow =
        sql_query("SELECT coalesce(max(unit), 0) AS unit FROM purchases WHERE product_id = $1")
            .bind::<ty::Text, _>(product)
            .get_result(connection)
            .await?;
    Ok(number(row.unit))
}

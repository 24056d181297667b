//! Products: their terms, their order, and a stock that is asked for.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, sql_query,
    sql_types::{Array, BigInt, Bool, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;

use super::{PostgresLedger, lock};
use crate::domain::{Offers, Product, ProductId, order_after};
use crate::ledger::{
    LedgerError, LedgerSale, ProductLedger, check_stock,
    columns::Number,
    rows::{SaleRow, StockRow, UnitRow, bind_product, read_offers, read_products},
};

#[async_trait]
impl ProductLedger for PostgresLedger {
    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        let products = products.to_vec();
        self.transaction("add_products", move |connection| {
            async move { add(connection, &products).await }.boxed()
        })
        .await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        read_products(&mut *self.connection().await?).await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        read_offers(&mut *self.connection().await?).await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        let (seen, wanted) = (seen.to_vec(), wanted.to_vec());
        self.transaction("change_products", move |connection| change(connection, seen, wanted).boxed()).await
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        let changed = sql_query("UPDATE products SET paused = $2, updated_at = now() WHERE id = $1")
            .bind::<Text, _>(product.as_str())
            .bind::<Bool, _>(paused)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        let rows: Vec<SaleRow> = sql_query(
            "SELECT id, epoch, opened_epoch, total_stock, sale_start, sale_end, paused, lower_stock_to,
                    (SELECT max(unit) FROM purchases WHERE product_id = products.id AND holds_unit) AS highest_unit
             FROM products ORDER BY id",
        )
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(LedgerSale::from).collect())
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        let product = product.clone();
        self.transaction("settle_stock", move |connection| {
            settle_stock(connection, product, wanted, lower).boxed()
        })
        .await
    }
}

async fn add(connection: &mut AsyncPgConnection, products: &[Product]) -> Result<(), LedgerError> {
    lock(connection).await?;
    for product in products {
        bind_product(include_str!("add_product.sql"), product).execute(connection).await?;
    }
    Ok(())
}

async fn change(
    connection: &mut AsyncPgConnection,
    seen: Vec<Product>,
    wanted: Vec<Product>,
) -> Result<(), LedgerError> {
    lock(connection).await?;
    if read_products(connection).await? != seen {
        return Err(LedgerError::ProductsChanged);
    }
    add(connection, &wanted).await?;
    for product in &wanted {
        bind_product(include_str!("change_product.sql"), product).execute(connection).await?;
        check_stock(product, highest_unit(connection, &product.id).await?)?;
    }
    let order = order_after(&seen, &wanted);
    sql_query(
        "UPDATE products SET position = place FROM unnest($1) WITH ORDINALITY AS ordered (name, place)
         WHERE id = ordered.name",
    )
    .bind::<Array<Text>, _>(order.iter().map(ProductId::as_str).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds up other writers of products until the transaction ends.
async fn lock(connection: &mut AsyncPgConnection) -> Result<(), LedgerError> {
    let lock = sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(lock::PRODUCTS);
    lock.execute(connection).await?;
    Ok(())
}

async fn settle_stock(
    connection: &mut AsyncPgConnection,
    product: ProductId,
    wanted: u32,
    lower: bool,
) -> Result<bool, LedgerError> {
    // Waits for the transactions that insert under the old stock, and holds up new ones.
    let asked: Option<StockRow> = sql_query("SELECT lower_stock_to FROM products WHERE id = $1 FOR UPDATE")
        .bind::<Text, _>(product.as_str())
        .get_result(connection)
        .await
        .optional()?;
    let asked = asked.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
    if asked.lower_stock_to != Some(wanted) {
        return Ok(false);
    }
    let lowered = lower && highest_unit(connection, &product).await? <= wanted;
    let update = "UPDATE products
                  SET lower_stock_to = NULL, total_stock = CASE WHEN $2 THEN $3 ELSE total_stock END
                  WHERE id = $1";
    sql_query(update)
        .bind::<Text, _>(product.as_str())
        .bind::<Bool, _>(lowered)
        .bind::<Number, _>(wanted)
        .execute(connection)
        .await?;
    Ok(lowered)
}

async fn highest_unit(connection: &mut AsyncPgConnection, product: &ProductId) -> Result<u32, LedgerError> {
    let row: UnitRow = sql_query(
        "SELECT coalesce(max(unit), 0) AS unit FROM purchases WHERE product_id = $1 AND holds_unit",
    )
    .bind::<Text, _>(product.as_str())
    .get_result(connection)
    .await?;
    Ok(row.unit)
}

//! Purchases as rows: cancelled ones too, and whose rights are used up.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::RunQueryDsl;

use super::{
    changes,
    connect::{Connection, NOW},
    rows::{CountsRow, EarlierRow, NumberRow, RecordedRow},
};
use crate::domain::{Cancellation, LedgerCounts, ProductId, Purchase, PurchaseId, RecordedPurchase, UserId};
use crate::ledger::{Cancelled, Imported, LedgerError};

/// The columns of [`RecordedRow`].
const COLUMNS: &str = "id, product_id, user_id, unit, admitted_at, offer, confirmed_at, cancelled_at,
                       cancelled_by, cancel_reason, holds_unit, holds_right";

pub(super) async fn one(
    connection: &mut Connection,
    id: PurchaseId,
) -> Result<Option<RecordedPurchase>, LedgerError> {
    let row: Option<RecordedRow> = sql_query(format!("SELECT {COLUMNS} FROM purchases WHERE id = ?1"))
        .bind::<ty::Text, _>(id.to_string())
        .get_result(connection)
        .await
        .optional()?;
    row.map(RecordedRow::recorded).transpose()
}

pub(super) async fn among(
    connection: &mut Connection,
    ids: &[PurchaseId],
) -> Result<Vec<Purchase>, LedgerError> {
    let rows: Vec<RecordedRow> = sql_query(format!(
        "SELECT {COLUMNS} FROM purchases
         WHERE id IN (SELECT value FROM json_each(?1)) AND cancelled_at IS NULL"
    ))
    .bind::<ty::Text, _>(serde_json::json!(ids).to_string())
    .load(connection)
    .await?;
    rows.into_iter().map(|row| Ok(row.recorded()?.purchase)).collect()
}

pub(super) async fn page(
    connection: &mut Connection,
    product: &ProductId,
    after: (u32, PurchaseId),
    limit: u32,
) -> Result<Vec<RecordedPurchase>, LedgerError> {
    let rows: Vec<RecordedRow> = sql_query(format!(
        "SELECT {COLUMNS} FROM purchases WHERE product_id = ?1 AND (unit, id) > (?2, ?3)
         ORDER BY unit, id LIMIT ?4"
    ))
    .bind::<ty::Text, _>(product.as_str())
    .bind::<ty::BigInt, _>(i64::from(after.0))
    .bind::<ty::Text, _>(after.1.to_string())
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(RecordedRow::recorded).collect()
}

pub(super) async fn counts(
    connection: &mut Connection,
    product: &ProductId,
) -> Result<LedgerCounts, LedgerError> {
    let row: CountsRow = sql_query(
        "SELECT count(*) FILTER (WHERE cancelled_at IS NULL) AS recorded,
                count(*) FILTER (WHERE cancelled_at IS NOT NULL) AS withheld,
                (SELECT count(*) FROM admission_changes
                 WHERE product_id = ?1 AND kind = 'cancel' AND NOT holds_unit) AS on_its_way
         FROM purchases WHERE product_id = ?1 AND holds_unit",
    )
    .bind::<ty::Text, _>(product.as_str())
    .get_result(connection)
    .await?;
    Ok(row.into())
}

pub(super) async fn cancel(
    connection: &mut Connection,
    id: PurchaseId,
    cancellation: &Cancellation,
) -> Result<Option<Cancelled>, LedgerError> {
    let Cancellation { by, reason, keeps_unit, may_buy_again } = cancellation;
    let row: Option<RecordedRow> = sql_query(format!(
        "UPDATE purchases SET cancelled_at = {NOW}, cancelled_by = ?2, cancel_reason = ?3, holds_unit = ?4,
                              holds_right = ?5
         WHERE id = ?1 AND cancelled_at IS NULL RETURNING {COLUMNS}"
    ))
    .bind::<ty::Text, _>(id.to_string())
    .bind::<ty::Text, _>(by)
    .bind::<ty::Text, _>(reason)
    .bind::<ty::Bool, _>(keeps_unit)
    .bind::<ty::Bool, _>(!may_buy_again)
    .get_result(connection)
    .await
    .optional()?;
    let (purchase, is_new) = match row {
        Some(row) => (row.recorded()?, true),
        None => match one(connection, id).await? {
            Some(before) => (before, false),
            None => return Ok(None),
        },
    };
    let change = if is_new {
        Some(changes::add_cancellation(connection, &purchase.purchase, cancellation).await?)
    } else {
        changes::of_purchase(connection, id).await?
    };
    Ok(Some(Cancelled { purchase, is_new, change }))
}

pub(super) async fn import(
    connection: &mut Connection,
    product: &ProductId,
    earlier: &[Purchase],
    by: &str,
) -> Result<Imported, LedgerError> {
    let mut imported = Imported::default();
    for Purchase { id, user, admitted_at, .. } in earlier {
        let added = sql_query(
            "INSERT INTO earlier_buyers (product_id, user_id, purchase_id, imported_at, imported_by)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE NOT EXISTS (SELECT 1 FROM purchases WHERE product_id = ?1 AND user_id = ?2 AND holds_right)
             ON CONFLICT DO NOTHING",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Text, _>(user.as_str())
        .bind::<ty::Text, _>(id.to_string())
        .bind::<ty::BigInt, _>(admitted_at.timestamp_millis())
        .bind::<ty::Text, _>(by)
        .execute(connection)
        .await?;
        if added == 0 {
            continue;
        }
        let row: NumberRow = sql_query(
            "INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, admitted_at)
             VALUES ('import', ?1, ?2, ?3, ?4) RETURNING number",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Text, _>(user.as_str())
        .bind::<ty::Text, _>(id.to_string())
        .bind::<ty::BigInt, _>(admitted_at.timestamp_millis())
        .get_result(connection)
        .await?;
        imported.add(std::iter::once(row.number.unsigned_abs()));
    }
    Ok(imported)
}

pub(super) async fn earlier_buyers(
    connection: &mut Connection,
    product: &ProductId,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Vec<Purchase>, LedgerError> {
    let rows: Vec<EarlierRow> = sql_query(
        "SELECT user_id, purchase_id, imported_at FROM earlier_buyers
         WHERE product_id = ?1 AND user_id > ?2
           AND NOT EXISTS (SELECT 1 FROM purchases
                           WHERE purchases.product_id = ?1 AND purchases.user_id = earlier_buyers.user_id
                             AND purchases.holds_right)
         ORDER BY user_id LIMIT ?3",
    )
    .bind::<ty::Text, _>(product.as_str())
    .bind::<ty::Text, _>(after.map_or("", UserId::as_str))
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(|row| row.purchase(product)).collect()
}

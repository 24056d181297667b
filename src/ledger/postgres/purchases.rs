//! Purchases as rows: cancelled ones too, and whose rights are used up.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    changes,
    rows::{CountsRow, EarlierRow, NumberRow, PurchaseRow, RecordedRow},
};
use crate::domain::{Cancellation, LedgerCounts, ProductId, Purchase, PurchaseId, RecordedPurchase, UserId};
use crate::ledger::{Cancelled, Imported, LedgerError, column};

/// The columns of [`RecordedRow`].
const COLUMNS: &str = "id, product_id, user_id, unit, admitted_at, offer, confirmed_at, cancelled_at,
                       cancelled_by, cancel_reason, holds_unit, holds_right";

pub(super) async fn one(
    connection: &mut AsyncPgConnection,
    id: PurchaseId,
) -> Result<Option<RecordedPurchase>, LedgerError> {
    let row: Option<RecordedRow> = sql_query(format!("SELECT {COLUMNS} FROM purchases WHERE id = $1"))
        .bind::<ty::Uuid, _>(id.0)
        .get_result(connection)
        .await
        .optional()?;
    row.map(RecordedRow::recorded).transpose()
}

pub(super) async fn among(
    connection: &mut AsyncPgConnection,
    ids: &[PurchaseId],
) -> Result<Vec<Purchase>, LedgerError> {
    let rows: Vec<PurchaseRow> =
        sql_query("SELECT id, product_id, user_id, unit, admitted_at FROM live_purchases WHERE id = ANY($1)")
            .bind::<ty::Array<ty::Uuid>, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .load(connection)
            .await?;
    rows.into_iter().map(PurchaseRow::purchase).collect()
}

pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    product: &ProductId,
    after: (u32, PurchaseId),
    limit: u32,
) -> Result<Vec<RecordedPurchase>, LedgerError> {
    let rows: Vec<RecordedRow> = sql_query(format!(
        "SELECT {COLUMNS} FROM purchases WHERE product_id = $1 AND (unit, id) > ($2, $3)
         ORDER BY unit, id LIMIT $4"
    ))
    .bind::<ty::Text, _>(product.as_str())
    .bind::<ty::Integer, _>(column(after.0))
    .bind::<ty::Uuid, _>(after.1.0)
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(RecordedRow::recorded).collect()
}

pub(super) async fn counts(
    connection: &mut AsyncPgConnection,
    product: &ProductId,
) -> Result<LedgerCounts, LedgerError> {
    let row: CountsRow = sql_query(
        "SELECT count(*) FILTER (WHERE cancelled_at IS NULL) AS recorded,
                count(*) FILTER (WHERE cancelled_at IS NOT NULL) AS withheld,
                (SELECT count(*) FROM admission_changes
                 WHERE product_id = $1 AND kind = 'cancel' AND NOT holds_unit) AS on_its_way
         FROM purchases WHERE product_id = $1 AND holds_unit",
    )
    .bind::<ty::Text, _>(product.as_str())
    .get_result(connection)
    .await?;
    Ok(row.into())
}

pub(super) async fn cancel(
    connection: &mut AsyncPgConnection,
    id: PurchaseId,
    cancellation: &Cancellation,
) -> Result<Option<Cancelled>, LedgerError> {
    changes::lock(connection).await?;
    let Cancellation { by, reason, keeps_unit, may_buy_again } = cancellation;
    let row: Option<RecordedRow> = sql_query(format!(
        "UPDATE purchases SET cancelled_at = now(), cancelled_by = $2, cancel_reason = $3, holds_unit = $4,
                              holds_right = $5
         WHERE id = $1 AND cancelled_at IS NULL RETURNING {COLUMNS}"
    ))
    .bind::<ty::Uuid, _>(id.0)
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
    connection: &mut AsyncPgConnection,
    product: &ProductId,
    earlier: &[Purchase],
    by: &str,
) -> Result<Imported, LedgerError> {
    /// Rows in one statement.
    const ROWS_MAX: usize = 10_000;
    changes::lock(connection).await?;
    let mut imported = Imported::default();
    for earlier in earlier.chunks(ROWS_MAX) {
        let numbers: Vec<NumberRow> = sql_query(include_str!("import.sql"))
            .bind::<ty::Text, _>(product.as_str())
            .bind::<ty::Array<ty::Text>, _>(
                earlier.iter().map(|purchase| purchase.user.as_str()).collect::<Vec<_>>(),
            )
            .bind::<ty::Array<ty::Uuid>, _>(earlier.iter().map(|purchase| purchase.id.0).collect::<Vec<_>>())
            .bind::<ty::Array<ty::Timestamptz>, _>(
                earlier.iter().map(|purchase| purchase.admitted_at).collect::<Vec<_>>(),
            )
            .bind::<ty::Text, _>(by)
            .load(connection)
            .await?;
        imported.add(numbers.iter().map(|row| row.number.unsigned_abs()));
    }
    Ok(imported)
}

pub(super) async fn earlier_buyers(
    connection: &mut AsyncPgConnection,
    product: &ProductId,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Vec<Purchase>, LedgerError> {
    let rows: Vec<EarlierRow> = sql_query(
        "SELECT user_id, purchase_id, imported_at FROM earlier_buyers
         WHERE product_id = $1 AND user_id > $2
           AND NOT EXISTS (SELECT FROM purchases
                           WHERE purchases.product_id = $1 AND purchases.user_id = earlier_buyers.user_id
                             AND purchases.holds_right)
         ORDER BY user_id LIMIT $3",
    )
    .bind::<ty::Text, _>(product.as_str())
    .bind::<ty::Text, _>(after.map_or("", UserId::as_str))
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(|row| row.purchase(product)).collect()
}

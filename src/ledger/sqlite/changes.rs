//! What admission must follow, and the erasure of a user. Transactions are immediate, so changes
//! are numbered in the order of their commits.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::RunQueryDsl;

use super::{
    connect::Connection,
    rows::{ChangeRow, NumberRow, PseudonymRow},
};
use crate::domain::{AdmissionChange, Cancellation, ChangeKind, ProductId, Purchase, PurchaseId, UserId};
use crate::ledger::{Erased, LedgerError, change::change_number};

pub(super) async fn add_cancellation(
    connection: &mut Connection,
    purchase: &Purchase,
    cancellation: &Cancellation,
) -> Result<u64, LedgerError> {
    let row: NumberRow = sql_query(
        "INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit,
                                        holds_right)
         VALUES ('cancel', ?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number",
    )
    .bind::<ty::Text, _>(purchase.product.as_str())
    .bind::<ty::Text, _>(purchase.user.as_str())
    .bind::<ty::Text, _>(purchase.id.to_string())
    .bind::<ty::BigInt, _>(i64::from(purchase.unit))
    .bind::<ty::BigInt, _>(purchase.admitted_at.timestamp_millis())
    .bind::<ty::Bool, _>(cancellation.keeps_unit)
    .bind::<ty::Bool, _>(!cancellation.may_buy_again)
    .get_result(connection)
    .await?;
    Ok(row.number.unsigned_abs())
}

/// The change of a purchase that admission has not followed yet.
pub(super) async fn of_purchase(
    connection: &mut Connection,
    id: PurchaseId,
) -> Result<Option<u64>, LedgerError> {
    let row: Option<NumberRow> = sql_query("SELECT number FROM admission_changes WHERE purchase_id = ?1")
        .bind::<ty::Text, _>(id.to_string())
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(|row| row.number.unsigned_abs()))
}

pub(super) async fn page(
    connection: &mut Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<AdmissionChange>, LedgerError> {
    let rows: Vec<ChangeRow> = sql_query(
        "SELECT number, kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit, holds_right, pseudonym
         FROM admission_changes WHERE number > ?1 ORDER BY number LIMIT ?2",
    )
    .bind::<ty::BigInt, _>(change_number(after))
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(ChangeRow::change).collect()
}

pub(super) async fn is_due(connection: &mut Connection, number: u64) -> Result<bool, LedgerError> {
    let row: Option<NumberRow> = sql_query("SELECT number FROM admission_changes WHERE number = ?1")
        .bind::<ty::BigInt, _>(change_number(number))
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.is_some())
}

pub(super) async fn complete(
    connection: &mut Connection,
    changes: &[AdmissionChange],
) -> Result<(), LedgerError> {
    for AdmissionChange { number, kind } in changes {
        if let ChangeKind::Rename { product, user, pseudonym } = kind {
            // What was recorded since the erasure.
            rename(connection, Some(product), user, pseudonym.as_str()).await?;
        }
        sql_query("DELETE FROM admission_changes WHERE number = ?1")
            .bind::<ty::BigInt, _>(change_number(*number))
            .execute(connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn erase(
    connection: &mut Connection,
    user: &UserId,
    pseudonym: &UserId,
) -> Result<Erased, LedgerError> {
    let under_way: Option<PseudonymRow> = sql_query(
        "SELECT pseudonym FROM admission_changes WHERE kind = 'rename' AND user_id = ?1 ORDER BY number LIMIT 1",
    )
    .bind::<ty::Text, _>(user.as_str())
    .get_result(connection)
    .await
    .optional()?;
    let pseudonym = under_way.map_or_else(|| pseudonym.as_str().to_owned(), |row| row.pseudonym);
    let mut erased = rename(connection, None, user, &pseudonym).await?;
    let numbers: Vec<NumberRow> = sql_query(
        "INSERT INTO admission_changes (kind, product_id, user_id, pseudonym)
         SELECT 'rename', id, ?1, ?2 FROM products
         WHERE NOT EXISTS (SELECT 1 FROM admission_changes
                           WHERE kind = 'rename' AND user_id = ?1 AND product_id = products.id)
         RETURNING number",
    )
    .bind::<ty::Text, _>(user.as_str())
    .bind::<ty::Text, _>(&pseudonym)
    .load(connection)
    .await?;
    erased.changes = numbers.iter().map(|row| row.number.unsigned_abs()).collect();
    Ok(erased)
}

/// Replaces a user's id in the rows of one product, or of all. What a buyer has bought anew since
/// an erasure that is not complete yet is another buyer's.
async fn rename(
    connection: &mut Connection,
    product: Option<&ProductId>,
    user: &UserId,
    pseudonym: &str,
) -> Result<Erased, LedgerError> {
    let mut changed = [0; 3];
    let tables = [
        (
            "purchases",
            ", is_erased = 1",
            " AND (holds_right OR cancelled_at IS NOT NULL)
              AND NOT (holds_right AND EXISTS (SELECT 1 FROM purchases AS other
                                               WHERE other.product_id = purchases.product_id
                                                 AND other.user_id = ?2 AND other.holds_right))",
        ),
        ("revocations", "", ""),
        (
            "earlier_buyers",
            "",
            " AND NOT EXISTS (SELECT 1 FROM earlier_buyers AS other
                              WHERE other.product_id = earlier_buyers.product_id AND other.user_id = ?2)",
        ),
    ];
    for ((table, set, such), changed) in tables.into_iter().zip(&mut changed) {
        let update = format!(
            "UPDATE {table} SET user_id = ?2{set}
             WHERE user_id = ?1 AND product_id IN (SELECT id FROM products WHERE ?3 IS NULL OR id = ?3){such}"
        );
        *changed = sql_query(update)
            .bind::<ty::Text, _>(user.as_str())
            .bind::<ty::Text, _>(pseudonym)
            .bind::<ty::Nullable<ty::Text>, _>(product.map(ProductId::as_str))
            .execute(connection)
            .await?;
    }
    let [purchases, revocations, imports] = changed;
    Ok(Erased { purchases, revocations, imports, ..Erased::default() })
}

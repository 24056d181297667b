//! What admission must follow, and the erasure of a user.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    lock,
    rows::{BoolRow, ChangeRow, DiscardRow, NumberRow, PseudonymRow},
};
use crate::domain::{AdmissionChange, Cancellation, ChangeKind, ProductId, Purchase, PurchaseId, UserId};
use crate::ledger::{Erased, LedgerError, change::change_number, column, erase::without_user};

/// Changes are numbered in the order of their commits.
pub(super) async fn lock(connection: &mut AsyncPgConnection) -> Result<(), LedgerError> {
    let lock = sql_query("SELECT pg_advisory_xact_lock($1)").bind::<ty::BigInt, _>(lock::CHANGES);
    lock.execute(connection).await?;
    Ok(())
}

pub(super) async fn add_cancellation(
    connection: &mut AsyncPgConnection,
    purchase: &Purchase,
    cancellation: &Cancellation,
) -> Result<u64, LedgerError> {
    let row: NumberRow = sql_query(
        "INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit,
                                        holds_right)
         VALUES ('cancel', $1, $2, $3, $4, $5, $6, $7) RETURNING number",
    )
    .bind::<ty::Text, _>(purchase.product.as_str())
    .bind::<ty::Text, _>(purchase.user.as_str())
    .bind::<ty::Uuid, _>(purchase.id.0)
    .bind::<ty::Integer, _>(column(purchase.unit))
    .bind::<ty::Timestamptz, _>(purchase.admitted_at)
    .bind::<ty::Bool, _>(cancellation.keeps_unit)
    .bind::<ty::Bool, _>(!cancellation.may_buy_again)
    .get_result(connection)
    .await?;
    Ok(row.number.unsigned_abs())
}

/// The change of a purchase that admission has not followed yet.
pub(super) async fn of_purchase(
    connection: &mut AsyncPgConnection,
    id: PurchaseId,
) -> Result<Option<u64>, LedgerError> {
    let row: Option<NumberRow> = sql_query("SELECT number FROM admission_changes WHERE purchase_id = $1")
        .bind::<ty::Uuid, _>(id.0)
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(|row| row.number.unsigned_abs()))
}

pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    after: u64,
    limit: u32,
) -> Result<Vec<AdmissionChange>, LedgerError> {
    let rows: Vec<ChangeRow> = sql_query(
        "SELECT number, kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit, holds_right, pseudonym
         FROM admission_changes WHERE number > $1 ORDER BY number LIMIT $2",
    )
    .bind::<ty::BigInt, _>(change_number(after))
    .bind::<ty::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.into_iter().map(ChangeRow::change).collect()
}

pub(super) async fn is_due(connection: &mut AsyncPgConnection, number: u64) -> Result<bool, LedgerError> {
    let row: BoolRow = sql_query("SELECT EXISTS (SELECT FROM admission_changes WHERE number = $1) AS yes")
        .bind::<ty::BigInt, _>(change_number(number))
        .get_result(connection)
        .await?;
    Ok(row.yes)
}

pub(super) async fn complete(
    connection: &mut AsyncPgConnection,
    changes: &[AdmissionChange],
) -> Result<(), LedgerError> {
    for change in changes {
        if let ChangeKind::Rename { product, user, pseudonym } = &change.kind {
            // What was recorded since the erasure.
            rename(connection, Some(product), user, pseudonym.as_str()).await?;
        }
    }
    let numbers: Vec<_> = changes.iter().map(|change| change_number(change.number)).collect();
    sql_query("DELETE FROM admission_changes WHERE number = ANY($1)")
        .bind::<ty::Array<ty::BigInt>, _>(numbers)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn erase(
    connection: &mut AsyncPgConnection,
    user: &UserId,
    pseudonym: &UserId,
) -> Result<Erased, LedgerError> {
    lock(connection).await?;
    let under_way: Option<PseudonymRow> = sql_query(
        "SELECT pseudonym FROM admission_changes WHERE kind = 'rename' AND user_id = $1 ORDER BY number LIMIT 1",
    )
    .bind::<ty::Text, _>(user.as_str())
    .get_result(connection)
    .await
    .optional()?;
    let pseudonym = under_way.map_or_else(|| pseudonym.as_str().to_owned(), |row| row.pseudonym);
    let mut erased = rename(connection, None, user, &pseudonym).await?;
    erased.discards = erase_from_discards(connection, user, &pseudonym).await?;
    let numbers: Vec<NumberRow> = sql_query(
        "INSERT INTO admission_changes (kind, product_id, user_id, pseudonym)
         SELECT 'rename', id, $1, $2 FROM products
         WHERE NOT EXISTS (SELECT FROM admission_changes
                           WHERE kind = 'rename' AND user_id = $1 AND product_id = products.id)
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
    connection: &mut AsyncPgConnection,
    product: Option<&ProductId>,
    user: &UserId,
    pseudonym: &str,
) -> Result<Erased, LedgerError> {
    let mut changed = [0; 3];
    let tables = [
        (
            "purchases",
            ", is_erased = true",
            " AND (holds_right OR cancelled_at IS NOT NULL)
              AND NOT (holds_right AND EXISTS (SELECT 1 FROM purchases AS other
                                               WHERE other.product_id = purchases.product_id
                                                 AND other.user_id = $2 AND other.holds_right))",
        ),
        ("revocations", "", ""),
        (
            "earlier_buyers",
            "",
            " AND NOT EXISTS (SELECT 1 FROM earlier_buyers AS other
                              WHERE other.product_id = earlier_buyers.product_id AND other.user_id = $2)",
        ),
    ];
    for ((table, set, such), changed) in tables.into_iter().zip(&mut changed) {
        let update = format!(
            "UPDATE {table} SET user_id = $2{set}
             WHERE user_id = $1 AND product_id IN (SELECT id FROM products WHERE $3 IS NULL OR id = $3){such}"
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

/// The record of a discarded dead letter has the message. Returns how many records had the user.
async fn erase_from_discards(
    connection: &mut AsyncPgConnection,
    user: &UserId,
    pseudonym: &str,
) -> Result<usize, LedgerError> {
    let rows: Vec<DiscardRow> = sql_query(
        "SELECT letter_id, purchase_id, body FROM discards WHERE position(convert_to($1, 'UTF8') IN body) > 0",
    )
    .bind::<ty::Text, _>(user.as_str())
    .load(connection)
    .await?;
    let mut erased = 0;
    for DiscardRow { letter_id, purchase_id, body } in rows {
        let Some(body) = without_user(&body, user, pseudonym) else { continue };
        erased += sql_query(
            "UPDATE discards SET body = $3 WHERE letter_id = $1 AND purchase_id IS NOT DISTINCT FROM $2",
        )
        .bind::<ty::Text, _>(letter_id)
        .bind::<ty::Nullable<ty::Uuid>, _>(purchase_id)
        .bind::<ty::Binary, _>(body)
        .execute(connection)
        .await?;
    }
    Ok(erased)
}

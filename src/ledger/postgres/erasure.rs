//! The erasure of a user from everything that the ledger has.

use diesel::{
    OptionalExtension, sql_query,
    sql_types::{Binary, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::domain::{ProductId, UserId};
use crate::ledger::{
    Erased, LedgerError,
    columns::Id,
    erase::{renames, without_user},
    rows::{DiscardRow, NumberRow, PseudonymRow},
};

/// The transaction must hold the lock of changes.
pub(super) async fn erase(
    connection: &mut AsyncPgConnection,
    user: &UserId,
    pseudonym: &UserId,
) -> Result<Erased, LedgerError> {
    let under_way: Option<PseudonymRow> = sql_query(
        "SELECT pseudonym FROM admission_changes WHERE kind = 'rename' AND user_id = $1 ORDER BY number LIMIT 1",
    )
    .bind::<Text, _>(user.as_str())
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
    .bind::<Text, _>(user.as_str())
    .bind::<Text, _>(&pseudonym)
    .load(connection)
    .await?;
    erased.changes = numbers.into_iter().map(|row| row.number).collect();
    Ok(erased)
}

/// See [`renames`].
pub(super) async fn rename(
    connection: &mut AsyncPgConnection,
    product: Option<&ProductId>,
    user: &UserId,
    pseudonym: &str,
) -> Result<Erased, LedgerError> {
    let mut changed = [0; 3];
    for (update, changed) in renames().into_iter().zip(&mut changed) {
        *changed = sql_query(update)
            .bind::<Text, _>(user.as_str())
            .bind::<Text, _>(pseudonym)
            .bind::<Nullable<Text>, _>(product.map(ProductId::as_str))
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
    .bind::<Text, _>(user.as_str())
    .load(connection)
    .await?;
    let mut erased = 0;
    for DiscardRow { letter_id, purchase_id, body } in rows {
        let Some(body) = without_user(&body, user, pseudonym) else { continue };
        erased += sql_query(
            "UPDATE discards SET body = $3 WHERE letter_id = $1 AND purchase_id IS NOT DISTINCT FROM $2",
        )
        .bind::<Text, _>(letter_id)
        .bind::<Nullable<Id>, _>(purchase_id)
        .bind::<Binary, _>(body)
        .execute(connection)
        .await?;
    }
    Ok(erased)
}

//! The erasure of a user from everything that the ledger has.

use diesel::{
    OptionalExtension, sql_query,
    sql_types::{Nullable, Text},
};
use diesel_async::RunQueryDsl;

use super::connect::Connection;
use crate::domain::{ProductId, UserId};
use crate::ledger::{
    Erased, LedgerError,
    erase::renames,
    rows::{NumberRow, PseudonymRow},
};

pub(super) async fn erase(
    connection: &mut Connection,
    user: &UserId,
    pseudonym: &UserId,
) -> Result<Erased, LedgerError> {
    let under_way: Option<PseudonymRow> = sql_query(
        "SELECT pseudonym FROM admission_changes WHERE kind = 'rename' AND user_id = ?1 ORDER BY number LIMIT 1",
    )
    .bind::<Text, _>(user.as_str())
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
    .bind::<Text, _>(user.as_str())
    .bind::<Text, _>(&pseudonym)
    .load(connection)
    .await?;
    erased.changes = numbers.into_iter().map(|row| row.number).collect();
    Ok(erased)
}

/// See [`renames`]; a numbered parameter of SQLite begins with `?`.
pub(super) async fn rename(
    connection: &mut Connection,
    product: Option<&ProductId>,
    user: &UserId,
    pseudonym: &str,
) -> Result<Erased, LedgerError> {
    let mut changed = [0; 3];
    for (update, changed) in renames().into_iter().zip(&mut changed) {
        *changed = sql_query(update.replace('$', "?"))
            .bind::<Text, _>(user.as_str())
            .bind::<Text, _>(pseudonym)
            .bind::<Nullable<Text>, _>(product.map(ProductId::as_str))
            .execute(connection)
            .await?;
    }
    let [purchases, revocations, imports] = changed;
    Ok(Erased { purchases, revocations, imports, ..Erased::default() })
}

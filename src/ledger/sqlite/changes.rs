//! What operators decide about purchases, and the changes that admission must follow. Transactions
//! are immediate, so changes are numbered in the order of their commits.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, sql_query,
    sql_types::{BigInt, Bool, Text},
};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use super::{
    SqliteLedger,
    connect::{Connection, NOW},
    erasure,
};
use crate::domain::{
    AdmissionChange, Cancellation, ChangeKind, ProductId, Purchase, PurchaseId, RecordedPurchase, UserId,
};
use crate::ledger::{
    Cancelled, ChangeLedger, Erased, Imported, LedgerError,
    columns::{Counter, Id, Number, Timestamp},
    rows::{ChangeRow, EarlierRow, NumberRow, RECORDED_COLUMNS, RecordedRow},
};

#[async_trait]
impl ChangeLedger for SqliteLedger {
    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError> {
        let cancellation = cancellation.clone();
        self.transaction("cancel", move |connection| cancel(connection, id, cancellation).boxed()).await
    }

    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        by: &str,
    ) -> Result<Imported, LedgerError> {
        let (product, earlier, by) = (product.clone(), earlier.to_vec(), by.to_owned());
        self.transaction("import", move |connection| import(connection, product, earlier, by).boxed()).await
    }

    async fn earlier_buyers(
        &self,
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
        .bind::<Text, _>(product.as_str())
        .bind::<Text, _>(after.map_or("", UserId::as_str))
        .bind::<BigInt, _>(i64::from(limit))
        .load(&mut *self.connection.lock().await)
        .await?;
        Ok(rows.into_iter().map(|row| row.purchase(product)).collect())
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        let (user, pseudonym) = (user.clone(), pseudonym.clone());
        self.transaction("erase", move |connection| {
            async move { erasure::erase(connection, &user, &pseudonym).await }.boxed()
        })
        .await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        let rows: Vec<ChangeRow> = sql_query(
            "SELECT number, kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit, holds_right,
                    pseudonym
             FROM admission_changes WHERE number > ?1 ORDER BY number LIMIT ?2",
        )
        .bind::<Counter, _>(after)
        .bind::<BigInt, _>(i64::from(limit))
        .load(&mut *self.connection.lock().await)
        .await?;
        rows.into_iter().map(AdmissionChange::try_from).collect()
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        let changes = changes.to_vec();
        self.transaction("complete_changes", move |connection| complete(connection, changes).boxed()).await
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        let row: Option<NumberRow> = sql_query("SELECT number FROM admission_changes WHERE number = ?1")
            .bind::<Counter, _>(number)
            .get_result(&mut *self.connection.lock().await)
            .await
            .optional()?;
        Ok(row.is_some())
    }
}

async fn cancel(
    connection: &mut Connection,
    id: PurchaseId,
    cancellation: Cancellation,
) -> Result<Option<Cancelled>, LedgerError> {
    let Cancellation { by, reason, keeps_unit, may_buy_again } = &cancellation;
    let row: Option<RecordedRow> = sql_query(format!(
        "UPDATE purchases SET cancelled_at = {NOW}, cancelled_by = ?2, cancel_reason = ?3, holds_unit = ?4,
                              holds_right = ?5
         WHERE id = ?1 AND cancelled_at IS NULL RETURNING {RECORDED_COLUMNS}"
    ))
    .bind::<Id, _>(id)
    .bind::<Text, _>(by)
    .bind::<Text, _>(reason)
    .bind::<Bool, _>(keeps_unit)
    .bind::<Bool, _>(!may_buy_again)
    .get_result(connection)
    .await
    .optional()?;
    if let Some(row) = row {
        let purchase = RecordedPurchase::from(row);
        let change = add_cancellation(connection, &purchase.purchase, &cancellation).await?;
        return Ok(Some(Cancelled { purchase, is_new: true, change: Some(change) }));
    }
    let query = sql_query(format!("SELECT {RECORDED_COLUMNS} FROM purchases WHERE id = ?1"));
    let before: Option<RecordedRow> = query.bind::<Id, _>(id).get_result(connection).await.optional()?;
    let Some(before) = before else { return Ok(None) };
    let change: Option<NumberRow> = sql_query("SELECT number FROM admission_changes WHERE purchase_id = ?1")
        .bind::<Id, _>(id)
        .get_result(connection)
        .await
        .optional()?;
    let change = change.map(|row| row.number);
    Ok(Some(Cancelled { purchase: before.into(), is_new: false, change }))
}

async fn add_cancellation(
    connection: &mut Connection,
    purchase: &Purchase,
    cancellation: &Cancellation,
) -> Result<u64, LedgerError> {
    let row: NumberRow = sql_query(
        "INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, unit, admitted_at, holds_unit,
                                        holds_right)
         VALUES ('cancel', ?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number",
    )
    .bind::<Text, _>(purchase.product.as_str())
    .bind::<Text, _>(purchase.user.as_str())
    .bind::<Id, _>(purchase.id)
    .bind::<Number, _>(purchase.unit)
    .bind::<Timestamp, _>(purchase.admitted_at)
    .bind::<Bool, _>(cancellation.keeps_unit)
    .bind::<Bool, _>(!cancellation.may_buy_again)
    .get_result(connection)
    .await?;
    Ok(row.number)
}

async fn import(
    connection: &mut Connection,
    product: ProductId,
    earlier: Vec<Purchase>,
    by: String,
) -> Result<Imported, LedgerError> {
    let mut imported = Imported::default();
    for Purchase { id, user, admitted_at, .. } in &earlier {
        let added = sql_query(
            "INSERT INTO earlier_buyers (product_id, user_id, purchase_id, imported_at, imported_by)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE NOT EXISTS (SELECT 1 FROM purchases WHERE product_id = ?1 AND user_id = ?2 AND holds_right)
             ON CONFLICT DO NOTHING",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Text, _>(user.as_str())
        .bind::<Id, _>(id)
        .bind::<Timestamp, _>(admitted_at)
        .bind::<Text, _>(&by)
        .execute(connection)
        .await?;
        if added == 0 {
            continue;
        }
        let row: NumberRow = sql_query(
            "INSERT INTO admission_changes (kind, product_id, user_id, purchase_id, admitted_at)
             VALUES ('import', ?1, ?2, ?3, ?4) RETURNING number",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Text, _>(user.as_str())
        .bind::<Id, _>(id)
        .bind::<Timestamp, _>(admitted_at)
        .get_result(connection)
        .await?;
        imported.add(row.number);
    }
    Ok(imported)
}

async fn complete(connection: &mut Connection, changes: Vec<AdmissionChange>) -> Result<(), LedgerError> {
    for AdmissionChange { number, kind } in &changes {
        if let ChangeKind::Rename { product, user, pseudonym } = kind {
            // What was recorded since the erasure.
            erasure::rename(connection, Some(product), user, pseudonym.as_str()).await?;
        }
        sql_query("DELETE FROM admission_changes WHERE number = ?1")
            .bind::<Counter, _>(number)
            .execute(connection)
            .await?;
    }
    Ok(())
}

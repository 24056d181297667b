//! A batch of purchases becomes rows, in one transaction: inserted where nothing is in the way, and
//! a verdict on each. What is not to become a row is revoked or discarded.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use diesel::{
    sql_query,
    sql_types::{Array, Binary, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;

use super::{PostgresLedger, leader};
use crate::domain::{Entry, LedgerVerdict, Purchase, PurchaseId};
use crate::ledger::{
    Discard, LedgerError, RecordingLedger, Writer,
    columns::{Counter, Id, Number, Timestamp},
    rows::{ClassifyRow, IdRow, verdicts},
};
use crate::runtime::crash_points::crash_point;

#[async_trait]
impl RecordingLedger for PostgresLedger {
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        let batch = entries.to_vec();
        self.transaction("record", move |connection| record(connection, batch, writer).boxed()).await
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let (purchase, reason) = (purchase.clone(), reason.to_owned());
        self.transaction("revoke", move |connection| revoke(connection, purchase, reason).boxed()).await
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        sql_query(
            "INSERT INTO discards (letter_id, purchase_id, body, letter_reason, discarded_by, reason)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind::<Text, _>(discard.letter_id)
        .bind::<Nullable<Id>, _>(discard.purchase)
        .bind::<Binary, _>(discard.body)
        .bind::<Text, _>(discard.letter_reason)
        .bind::<Text, _>(discard.discarded_by)
        .bind::<Text, _>(discard.reason)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }
}

/// The columns of a batch, as `unnest` takes them.
macro_rules! bind_columns {
    ($query:expr, $batch:expr) => {{
        let purchases = || $batch.iter().map(|item| &item.purchase);
        $query
            .bind::<Array<Id>, _>(purchases().map(|one| one.id).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(purchases().map(|one| one.product.as_str()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(purchases().map(|one| one.user.as_str()).collect::<Vec<_>>())
            .bind::<Array<Number>, _>(purchases().map(|one| one.unit).collect::<Vec<_>>())
    }};
}

async fn record(
    connection: &mut AsyncPgConnection,
    batch: Vec<Entry>,
    writer: Writer,
) -> Result<Vec<LedgerVerdict>, LedgerError> {
    if writer == Writer::Worker && !leader::share_workers_lock(connection).await? {
        return Err(LedgerError::RebuildUnderWay);
    }
    share_products(connection, &batch, writer).await?;
    let inserted = insert(connection, &batch).await?;
    crash_point!("worker-in-transaction");
    if inserted.len() == batch.len() {
        return Ok(vec![LedgerVerdict::Recorded; batch.len()]);
    }
    let left: Vec<_> = batch.iter().filter(|item| !inserted.contains(&item.purchase.id)).collect();
    let classified = bind_columns!(sql_query(include_str!("classify.sql")), left);
    verdicts(&batch, &inserted, classified.load::<ClassifyRow>(connection).await?)
}

/// Keeps the products of a batch as they are until the transaction ends: neither is their stock
/// lowered meanwhile, nor one of these purchases revoked. In one order, so that no transactions
/// wait in a circle. A rebuild, which no lock keeps from going on after it has lost the lead, keeps
/// their epochs as they are, too: either another rebuild has begun before, and this one's epoch is
/// too old, or the other one waits for it.
async fn share_products(
    connection: &mut AsyncPgConnection,
    batch: &[Entry],
    writer: Writer,
) -> Result<(), LedgerError> {
    let ids: BTreeSet<_> = batch.iter().map(|item| item.purchase.product.as_str()).collect();
    let lock = match writer {
        Writer::Worker => "FOR KEY SHARE",
        Writer::Rebuild => "FOR SHARE",
    };
    sql_query(format!("SELECT FROM products WHERE id = ANY($1) ORDER BY id {lock}"))
        .bind::<Array<Text>, _>(ids.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(
    connection: &mut AsyncPgConnection,
    batch: &[Entry],
) -> Result<HashSet<PurchaseId>, LedgerError> {
    let times: Vec<_> = batch.iter().map(|item| item.purchase.admitted_at).collect();
    let epochs: Vec<_> = batch.iter().map(|item| item.epoch).collect();
    let rows: Vec<IdRow> = bind_columns!(sql_query(include_str!("record.sql")), batch)
        .bind::<Array<Timestamp>, _>(times)
        .bind::<Array<Counter>, _>(epochs)
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn revoke(
    connection: &mut AsyncPgConnection,
    purchase: Purchase,
    reason: String,
) -> Result<bool, LedgerError> {
    // Waits for transactions that may be inserting this very purchase, and holds up new ones.
    sql_query("SELECT FROM products WHERE id = $1 FOR UPDATE")
        .bind::<Text, _>(purchase.product.as_str())
        .execute(connection)
        .await?;
    let recorded = sql_query(
        "INSERT INTO revocations (purchase_id, product_id, user_id, reason)
         SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM purchases WHERE id = $1)
         ON CONFLICT DO NOTHING",
    )
    .bind::<Id, _>(purchase.id)
    .bind::<Text, _>(purchase.product.as_str())
    .bind::<Text, _>(purchase.user.as_str())
    .bind::<Text, _>(reason)
    .execute(connection)
    .await?;
    Ok(recorded == 1)
}

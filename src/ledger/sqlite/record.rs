//! A batch of purchases becomes rows, in one transaction: inserted where nothing is in the way, and
//! a verdict on each. What is not to become a row is revoked.

use async_trait::async_trait;
use diesel::{sql_query, sql_types::Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use super::{SqliteLedger, connect::Connection};
use crate::domain::{Entry, LedgerVerdict, Purchase};
use crate::ledger::{
    Discard, LedgerError, RecordingLedger, Writer,
    columns::Id,
    rows::{ClassifyRow, IdRow, verdicts},
};

#[async_trait]
impl RecordingLedger for SqliteLedger {
    async fn record(&self, entries: &[Entry], _writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        let batch = entries.to_vec();
        self.transaction("record", move |connection| record(connection, batch).boxed()).await
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let recorded = sql_query(
            "INSERT INTO revocations (purchase_id, product_id, user_id, reason)
             SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM purchases WHERE id = ?1)
             ON CONFLICT DO NOTHING",
        )
        .bind::<Id, _>(purchase.id)
        .bind::<Text, _>(purchase.product.as_str())
        .bind::<Text, _>(purchase.user.as_str())
        .bind::<Text, _>(reason)
        .execute(&mut *self.connection.lock().await)
        .await?;
        Ok(recorded == 1)
    }

    async fn record_discard(&self, _discard: Discard) -> Result<(), LedgerError> {
        Err(LedgerError::Corrupt("a dead letter of the in-memory broker".into()))
    }
}

async fn record(connection: &mut Connection, batch: Vec<Entry>) -> Result<Vec<LedgerVerdict>, LedgerError> {
    let items = to_json(&batch);
    let inserted: Vec<IdRow> =
        sql_query(include_str!("record.sql")).bind::<Text, _>(&items).load(connection).await?;
    if inserted.len() == batch.len() {
        return Ok(vec![LedgerVerdict::Recorded; batch.len()]);
    }
    let classified: Vec<ClassifyRow> =
        sql_query(include_str!("classify.sql")).bind::<Text, _>(&items).load(connection).await?;
    verdicts(&batch, &inserted.into_iter().map(|row| row.id).collect(), classified)
}

/// A batch as `record.sql` takes it.
fn to_json(batch: &[Entry]) -> String {
    let item = |Entry { epoch, purchase, .. }: &Entry| {
        serde_json::json!({
            "id": purchase.id,
            "product_id": purchase.product.as_str(),
            "user_id": purchase.user.as_str(),
            "unit": purchase.unit,
            "epoch": i64::try_from(*epoch).unwrap_or(i64::MAX),
            "admitted_at": purchase.admitted_at.timestamp_millis(),
        })
    };
    serde_json::Value::Array(batch.iter().map(item).collect()).to_string()
}

//! Epochs of products. The one process leads.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;

use super::{SqliteLedger, connect::NOW};
use crate::domain::ProductId;
use crate::ledger::{EpochLedger, Leadership, LedgerError, RaisedEpoch, SoleLeader};

#[async_trait]
impl EpochLedger for SqliteLedger {
    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let raised: Option<RaisedEpoch> = sql_query(format!(
            "UPDATE products SET epoch = max(epoch, ?2) + 1, updated_at = {NOW} WHERE id = ?1
             RETURNING epoch, epoch - 1 AS opened_epoch"
        ))
        .bind::<Text, _>(product.as_str())
        .bind::<BigInt, _>(i64::try_from(found).unwrap_or(0))
        .get_result(&mut *self.connection.lock().await)
        .await
        .optional()?;
        raised.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))
    }

    async fn note_opening(&self, _product: &ProductId, _epoch: u64) -> Result<bool, LedgerError> {
        // What the embedded mode admitted does not outlive its state.
        Ok(true)
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        Ok(true)
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        // The data directory's lock has made this process the only one.
        Ok(Some(Box::new(SoleLeader)))
    }
}

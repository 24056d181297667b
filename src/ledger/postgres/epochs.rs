//! Epochs of products, and the workers' and the leader's locks.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;

use super::{
    PostgresLedger,
    leader::{PostgresLeader, share_workers_lock},
};
use crate::domain::ProductId;
use crate::ledger::{EpochLedger, Leadership, LedgerError, RaisedEpoch, columns::Counter};

#[async_trait]
impl EpochLedger for PostgresLedger {
    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let raised: Option<RaisedEpoch> = sql_query(
            "UPDATE products SET epoch = GREATEST(epoch, $2) + 1, updated_at = now() WHERE id = $1
             RETURNING epoch, opened_epoch",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<BigInt, _>(i64::try_from(found).unwrap_or(0))
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        raised.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))
    }

    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        let changed = sql_query("UPDATE products SET opened_epoch = $2 WHERE id = $1 AND epoch = $2")
            .bind::<Text, _>(product.as_str())
            .bind::<Counter, _>(epoch)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        // Outside a transaction the lock ends with the statement: it is only a question.
        share_workers_lock(&mut *self.connection().await?).await
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        let elected = PostgresLeader::elect(&self.options).await?;
        Ok(elected.map(|leader| Box::new(leader) as Box<dyn Leadership>))
    }
}

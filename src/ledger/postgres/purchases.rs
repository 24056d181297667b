//! Reading purchases: those that count, those that were cancelled, and revocations.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, sql_query,
    sql_types::{Array, BigInt, Text},
};
use diesel_async::RunQueryDsl;

use super::PostgresLedger;
use crate::domain::{LedgerCounts, ProductId, Purchase, PurchaseId, RecordedPurchase, Revocation, UserId};
use crate::ledger::{
    Confirmation, LedgerError, PurchaseLedger,
    columns::{Id, Number},
    rows::{BoolRow, CountsRow, PurchaseRow, RECORDED_COLUMNS, RecordedRow, RevokedRow, TakenBackRow},
};

#[async_trait]
impl PurchaseLedger for PostgresLedger {
    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        let query = sql_query(format!("SELECT {RECORDED_COLUMNS} FROM purchases WHERE id = $1"));
        let row: Option<RecordedRow> =
            query.bind::<Id, _>(id).get_result(&mut self.connection().await?).await.optional()?;
        Ok(row.map(RecordedPurchase::from))
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        let rows: Vec<PurchaseRow> = sql_query(
            "SELECT id, product_id, user_id, unit, admitted_at FROM live_purchases WHERE id = ANY($1)",
        )
        .bind::<Array<Id>, _>(ids)
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(Purchase::from).collect())
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        let row: Option<PurchaseRow> = sql_query(
            "SELECT id, product_id, user_id, unit, admitted_at FROM live_purchases
             WHERE product_id = $1 AND user_id = $2",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Text, _>(user.as_str())
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(row.map(Purchase::from))
    }

    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        let row: Option<TakenBackRow> = sql_query(
            "SELECT purchase_id, reason, is_cancelled
             FROM (SELECT purchase_id, reason, revoked_at AS at, false AS is_cancelled
                   FROM revocations WHERE product_id = $1 AND user_id = $2
                   UNION ALL
                   SELECT id, cancel_reason, cancelled_at, true
                   FROM purchases
                   WHERE product_id = $1 AND user_id = $2 AND cancelled_at IS NOT NULL) AS taken_back
             ORDER BY at DESC LIMIT 1",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Text, _>(user.as_str())
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(row.map(Revocation::from))
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        let rows: Vec<RevokedRow> =
            sql_query("SELECT purchase_id, user_id FROM revocations WHERE product_id = $1")
                .bind::<Text, _>(product.as_str())
                .load(&mut self.connection().await?)
                .await?;
        Ok(rows.into_iter().map(RevokedRow::into).collect())
    }

    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        let rows: Vec<PurchaseRow> = sql_query(
            "SELECT id, product_id, user_id, unit, admitted_at FROM live_purchases
             WHERE product_id = $1 AND unit > $2 ORDER BY unit LIMIT $3",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Number, _>(after_unit)
        .bind::<BigInt, _>(i64::from(limit))
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(Purchase::from).collect())
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        let query = sql_query(
            "SELECT unit, id, confirmed_at FROM live_purchases
             WHERE product_id = $1 AND unit > $2 ORDER BY unit LIMIT $3",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Number, _>(after_unit)
        .bind::<BigInt, _>(i64::from(limit));
        Ok(query.load(&mut self.connection().await?).await?)
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        let rows: Vec<RecordedRow> = sql_query(format!(
            "SELECT {RECORDED_COLUMNS} FROM purchases WHERE product_id = $1 AND (unit, id) > ($2, $3)
             ORDER BY unit, id LIMIT $4"
        ))
        .bind::<Text, _>(product.as_str())
        .bind::<Number, _>(after.0)
        .bind::<Id, _>(after.1)
        .bind::<BigInt, _>(i64::from(limit))
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(RecordedPurchase::from).collect())
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        let row: BoolRow = sql_query(
            "SELECT EXISTS (SELECT FROM purchases WHERE product_id = $1 AND unit = $2 AND holds_unit) AS yes",
        )
        .bind::<Text, _>(product.as_str())
        .bind::<Number, _>(unit)
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(row.yes)
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        let row: CountsRow = sql_query(
            "SELECT count(*) FILTER (WHERE cancelled_at IS NULL) AS recorded,
                    count(*) FILTER (WHERE cancelled_at IS NOT NULL) AS withheld,
                    (SELECT count(*) FROM admission_changes
                     WHERE product_id = $1 AND kind = 'cancel' AND NOT holds_unit) AS on_its_way
             FROM purchases WHERE product_id = $1 AND holds_unit",
        )
        .bind::<Text, _>(product.as_str())
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(row.into())
    }
}

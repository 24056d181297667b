//! The ledger in PostgreSQL.

mod changes;
mod connect;
mod leader;
mod lock;
mod migrations;
mod offers;
mod options;
mod products;
mod purchases;
mod record;
mod rows;
mod session;
mod system;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    pooled_connection::deadpool::{Object, Pool},
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::OnceCell;

use super::{
    Cancelled, Confirmation, Discard, Erased, Imported, Leadership, Ledger, LedgerError, LedgerSale,
    RaisedEpoch, System, Writer, column,
};
use crate::domain::{
    AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Offers, Product, ProductId, Purchase,
    PurchaseId, RecordedPurchase, Revocation, UserId,
};
use leader::PostgresLeader;
pub use options::PostgresOptions;
use rows::{BoolRow, ConfirmationRow, EpochRow, PurchaseRow, RevocationRow, SaleRow, TakenBackRow};
use session::{Session, prove_own_backends};

/// The ledger in PostgreSQL; clones share the pool.
#[derive(Clone)]
pub struct PostgresLedger {
    pool: Pool<AsyncPgConnection>,
    options: PostgresOptions,
    /// That the sessions are this process's own.
    proof: Arc<OnceCell<()>>,
}

impl std::fmt::Debug for PostgresLedger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PostgresLedger({})", self.options.application_name)
    }
}

impl PostgresLedger {
    /// Connects when first used. Fails only if the URL can't be read.
    pub fn new(options: PostgresOptions) -> Result<Self, LedgerError> {
        Ok(Self { pool: connect::pool(&options)?, options, proof: Arc::default() })
    }

    /// Once for each process: with a pool in between, sessions would be shared from the beginning.
    async fn prove_sessions(&self) -> Result<(), LedgerError> {
        let proving = self.proof.get_or_try_init(async || {
            let [one, other] = [Session::open(&self.options).await?, Session::open(&self.options).await?];
            prove_own_backends(&one, &other).await
        });
        proving.await.copied()
    }

    async fn connection(&self) -> Result<Object<AsyncPgConnection>, LedgerError> {
        Ok(self.pool.get().await?)
    }

    /// The one way in which transactions are run: in a task of their own, because a transaction
    /// that is dropped half-way would leave its connection in an unknown state; bounded by the
    /// connection's timeouts.
    async fn transaction<R, F>(&self, name: &'static str, body: F) -> Result<R, LedgerError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, Result<R, LedgerError>>
            + Send
            + 'static,
    {
        let mut connection = self.connection().await?;
        let running = tokio::spawn(async move {
            connection.transaction(async move |connection| body(connection).await).await
        });
        let ended = running
            .await
            .map_err(|panicked| LedgerError::Unavailable(format!("{name}: {panicked}").into()))?;
        tracing::trace!(transaction = name, ok = ended.is_ok());
        ended
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    async fn migrate(&self) -> Result<usize, LedgerError> {
        self.prove_sessions().await?;
        match migrations::apply(&self.options).await {
            // A database that became unreachable meanwhile is waited for; a migration that does not
            // fit is not.
            Err(error @ LedgerError::Migration(_)) => Err(self.ping().await.err().unwrap_or(error)),
            ended => ended,
        }
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(self.connection().await?.batch_execute("SELECT 1").await?)
    }

    async fn system(&self, prefix: &str) -> Result<System, LedgerError> {
        // Every process and every command asks this once, before everything else.
        self.prove_sessions().await?;
        let mut connection = self.connection().await?;
        connect::warn_of_unsafe_settings(&mut connection).await?;
        system::read(&mut connection, prefix).await
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        system::change_prefix(&mut *self.connection().await?, prefix).await
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        let write = "UPDATE system SET prefix = prefix";
        Ok(self.connection().await?.batch_execute(write).await?)
    }

    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        let products = products.to_vec();
        self.transaction("add_products", move |connection| {
            async move { products::add(connection, &products).await }.boxed()
        })
        .await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        products::read(&mut *self.connection().await?).await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        offers::read(&mut *self.connection().await?).await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        let (seen, wanted) = (seen.to_vec(), wanted.to_vec());
        self.transaction("change_products", move |connection| {
            async move { products::change(connection, &seen, &wanted).await }.boxed()
        })
        .await
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        let product = product.clone();
        self.transaction("settle_stock", move |connection| {
            async move { products::settle_stock(connection, &product, wanted, lower).await }.boxed()
        })
        .await
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        let changed = sql_query("UPDATE products SET paused = $2, updated_at = now() WHERE id = $1")
            .bind::<ty::Text, _>(product.as_str())
            .bind::<ty::Bool, _>(paused)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        let rows: Vec<SaleRow> = sql_query(
            "SELECT id, epoch, opened_epoch, total_stock, sale_start, sale_end, paused, lower_stock_to,
                    (SELECT max(unit) FROM purchases WHERE product_id = products.id AND holds_unit) AS highest_unit
             FROM products ORDER BY id",
        )
        .load(&mut self.connection().await?)
        .await?;
        rows.into_iter().map(LedgerSale::try_from).collect()
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let (purchase, reason) = (purchase.clone(), reason.to_owned());
        self.transaction("revoke", move |connection| {
            async move {
                // Waits for transactions that may be inserting this very purchase, and holds up new
                // ones.
                sql_query("SELECT FROM products WHERE id = $1 FOR UPDATE")
                    .bind::<ty::Text, _>(purchase.product.as_str())
                    .execute(connection)
                    .await?;
                let recorded = sql_query(
                    "INSERT INTO revocations (purchase_id, product_id, user_id, reason)
                     SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM purchases WHERE id = $1)
                     ON CONFLICT DO NOTHING",
                )
                .bind::<ty::Uuid, _>(purchase.id.0)
                .bind::<ty::Text, _>(purchase.product.as_str())
                .bind::<ty::Text, _>(purchase.user.as_str())
                .bind::<ty::Text, _>(reason)
                .execute(connection)
                .await?;
                Ok(recorded == 1)
            }
            .boxed()
        })
        .await
    }

    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.record_batch(entries.to_vec(), writer).await
    }

    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError> {
        let cancellation = cancellation.clone();
        self.transaction("cancel", move |connection| {
            async move { purchases::cancel(connection, id, &cancellation).await }.boxed()
        })
        .await
    }

    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        by: &str,
    ) -> Result<Imported, LedgerError> {
        let (product, earlier, by) = (product.clone(), earlier.to_vec(), by.to_owned());
        self.transaction("import", move |connection| {
            async move { purchases::import(connection, &product, &earlier, &by).await }.boxed()
        })
        .await
    }

    async fn earlier_buyers(
        &self,
        product: &ProductId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        purchases::earlier_buyers(&mut *self.connection().await?, product, after, limit).await
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        let (user, pseudonym) = (user.clone(), pseudonym.clone());
        self.transaction("erase", move |connection| {
            async move { changes::erase(connection, &user, &pseudonym).await }.boxed()
        })
        .await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        changes::page(&mut *self.connection().await?, after, limit).await
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        let changes = changes.to_vec();
        self.transaction("complete_changes", move |connection| {
            async move { changes::complete(connection, &changes).await }.boxed()
        })
        .await
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        changes::is_due(&mut *self.connection().await?, number).await
    }

    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        purchases::one(&mut *self.connection().await?, id).await
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        purchases::among(&mut *self.connection().await?, ids).await
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        let row: Option<PurchaseRow> = sql_query(
            "SELECT id, product_id, user_id, unit, admitted_at FROM live_purchases
             WHERE product_id = $1 AND user_id = $2",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Text, _>(user.as_str())
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        row.map(PurchaseRow::purchase).transpose()
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
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Text, _>(user.as_str())
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        Ok(row.map(Revocation::from))
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        let rows: Vec<RevocationRow> =
            sql_query("SELECT purchase_id, user_id FROM revocations WHERE product_id = $1")
                .bind::<ty::Text, _>(product.as_str())
                .load(&mut self.connection().await?)
                .await?;
        rows.into_iter().map(RevocationRow::owner).collect()
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        sql_query(
            "INSERT INTO discards (letter_id, purchase_id, body, letter_reason, discarded_by, reason)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind::<ty::Text, _>(discard.letter_id)
        .bind::<ty::Nullable<ty::Uuid>, _>(discard.purchase.map(|id| id.0))
        .bind::<ty::Binary, _>(discard.body)
        .bind::<ty::Text, _>(discard.letter_reason)
        .bind::<ty::Text, _>(discard.discarded_by)
        .bind::<ty::Text, _>(discard.reason)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
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
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Integer, _>(column(after_unit))
        .bind::<ty::BigInt, _>(i64::from(limit))
        .load(&mut self.connection().await?)
        .await?;
        rows.into_iter().map(PurchaseRow::purchase).collect()
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        let rows: Vec<ConfirmationRow> = sql_query(
            "SELECT unit, id, confirmed_at FROM live_purchases
             WHERE product_id = $1 AND unit > $2 ORDER BY unit LIMIT $3",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Integer, _>(column(after_unit))
        .bind::<ty::BigInt, _>(i64::from(limit))
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows.into_iter().map(ConfirmationRow::confirmation).collect())
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        purchases::page(&mut *self.connection().await?, product, after, limit).await
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        let row: BoolRow = sql_query(
            "SELECT EXISTS (SELECT FROM purchases WHERE product_id = $1 AND unit = $2 AND holds_unit) AS yes",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::Integer, _>(column(unit))
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(row.yes)
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        purchases::counts(&mut *self.connection().await?, product).await
    }

    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let row: Option<EpochRow> = sql_query(
            "UPDATE products SET epoch = GREATEST(epoch, $2) + 1, updated_at = now() WHERE id = $1
             RETURNING epoch, opened_epoch",
        )
        .bind::<ty::Text, _>(product.as_str())
        .bind::<ty::BigInt, _>(i64::try_from(found).unwrap_or(0))
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        let raised = |row: EpochRow| RaisedEpoch {
            epoch: row.epoch.unsigned_abs(),
            opened_epoch: row.opened_epoch.unsigned_abs(),
        };
        row.map(raised).ok_or_else(|| LedgerError::UnknownProduct(product.clone()))
    }

    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        let changed = sql_query("UPDATE products SET opened_epoch = $2 WHERE id = $1 AND epoch = $2")
            .bind::<ty::Text, _>(product.as_str())
            .bind::<ty::BigInt, _>(i64::try_from(epoch).unwrap_or(i64::MAX))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        // Outside a transaction the lock ends with the statement: it is only a question.
        leader::share_workers_lock(&mut *self.connection().await?).await
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        let elected = PostgresLeader::elect(&self.options).await?;
        Ok(elected.map(|leader| Box::new(leader) as Box<dyn Leadership>))
    }
}

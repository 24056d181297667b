//! The ledger in a SQLite file, for the embedded mode: one process, one connection.

mod changes;
mod connect;
mod offers;
mod products;
mod purchases;
mod rows;
mod system;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use diesel::{OptionalExtension, sql_query, sql_types};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::Mutex;

use super::{
    Cancelled, Confirmation, Discard, Erased, Imported, Leadership, Ledger, LedgerError, LedgerSale,
    RaisedEpoch, SoleLeader, System, Writer, purchase_id,
};
use crate::domain::{
    AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Offers, Product, ProductId, Purchase,
    PurchaseId, RecordedPurchase, Revocation, UserId,
};
use connect::{Connection, NOW, connect};
use rows::{ClassifyRow, ConfirmationRow, CountRow, IdRow, PurchaseRow, RevokedRow, SaleRow, TakenBackRow};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The ledger in a SQLite file; clones share the connection.
#[derive(Clone)]
pub struct SqliteLedger {
    connection: Arc<Mutex<Connection>>,
    path: Arc<str>,
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SqliteLedger({})", self.path)
    }
}

impl SqliteLedger {
    /// Opens or creates the file.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let path: Arc<str> = path.to_string_lossy().into();
        Ok(Self { connection: Arc::new(Mutex::new(connect(&path).await?)), path })
    }

    /// The one way in which transactions are run: in a task of their own, because a transaction
    /// that is dropped half-way would leave the connection in an unknown state.
    async fn transaction<R, F>(&self, name: &'static str, body: F) -> Result<R, LedgerError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<R, LedgerError>> + Send + 'static,
    {
        let connection = self.connection.clone();
        let running = tokio::spawn(async move {
            connection
                .lock()
                .await
                .immediate_transaction(async move |connection| body(connection).await)
                .await
        });
        running.await.map_err(|panicked| LedgerError::Unavailable(format!("{name}: {panicked}").into()))?
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn migrate(&self) -> Result<usize, LedgerError> {
        let connection = connect(&self.path).await?;
        let migrating = tokio::task::spawn_blocking(move || {
            let mut harness = AsyncMigrationHarness::new(connection);
            harness.run_pending_migrations(MIGRATIONS).map(|applied| applied.len())
        });
        let ended = migrating.await.map_err(|panicked| LedgerError::Migration(panicked.into()))?;
        ended.map_err(LedgerError::Migration)
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(self.connection.lock().await.batch_execute("SELECT 1").await?)
    }

    async fn system(&self, prefix: &str) -> Result<System, LedgerError> {
        system::read(&mut *self.connection.lock().await, prefix).await
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        system::change_prefix(&mut *self.connection.lock().await, prefix).await
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        // SQLite writes no page for a row that stays as it is.
        let write = format!(
            "UPDATE products SET updated_at = max(updated_at + 1, {NOW})
             WHERE id = (SELECT min(id) FROM products)"
        );
        Ok(self.connection.lock().await.batch_execute(&write).await?)
    }

    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        let products = products.to_vec();
        self.transaction("add_products", move |connection| {
            async move { products::add(connection, &products).await }.boxed()
        })
        .await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        products::read(&mut *self.connection.lock().await).await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        offers::read(&mut *self.connection.lock().await).await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        let (seen, wanted) = (seen.to_vec(), wanted.to_vec());
        self.transaction("change_products", move |connection| {
            async move { products::change(connection, &seen, &wanted).await }.boxed()
        })
        .await
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        let changed = sql_query(format!("UPDATE products SET paused = ?1, updated_at = {NOW} WHERE id = ?2"))
            .bind::<sql_types::Bool, _>(paused)
            .bind::<sql_types::Text, _>(product.as_str())
            .execute(&mut *self.connection.lock().await)
            .await?;
        Ok(changed == 1)
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        let rows: Vec<SaleRow> = sql_query(
            "SELECT id, epoch, total_stock, sale_start, sale_end, paused, lower_stock_to,
                    (SELECT max(unit) FROM purchases WHERE product_id = products.id AND holds_unit) AS highest_unit
             FROM products ORDER BY id",
        )
        .load(&mut *self.connection.lock().await)
        .await?;
        rows.into_iter().map(LedgerSale::try_from).collect()
    }

    async fn record(&self, entries: &[Entry], _writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        let batch = entries.to_vec();
        self.transaction("record", move |connection| {
            async move {
                let items = rows::to_json(&batch);
                let inserted: Vec<IdRow> = sql_query(include_str!("record.sql"))
                    .bind::<sql_types::Text, _>(&items)
                    .load(connection)
                    .await?;
                if inserted.len() == batch.len() {
                    return Ok(vec![LedgerVerdict::Recorded; batch.len()]);
                }
                let rows: Vec<ClassifyRow> = sql_query(include_str!("classify.sql"))
                    .bind::<sql_types::Text, _>(&items)
                    .load(connection)
                    .await?;
                let mut obstacles = HashMap::new();
                for row in rows {
                    obstacles.insert(purchase_id(&row.id)?, row);
                }
                let inserted: HashSet<_> = inserted.into_iter().map(|row| row.id).collect();
                let verdict = |item: &Entry| match obstacles.get(&item.purchase.id) {
                    _ if inserted.contains(&item.purchase.id.to_string()) => Ok(LedgerVerdict::Recorded),
                    Some(row) => Ok(row.obstacles()?.verdict(item)),
                    None => Err(LedgerError::Corrupt("a purchase that was not classified")),
                };
                batch.iter().map(verdict).collect()
            }
            .boxed()
        })
        .await
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let recorded = sql_query(
            "INSERT INTO revocations (purchase_id, product_id, user_id, reason)
             SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM purchases WHERE id = ?1)
             ON CONFLICT DO NOTHING",
        )
        .bind::<sql_types::Text, _>(purchase.id.to_string())
        .bind::<sql_types::Text, _>(purchase.product.as_str())
        .bind::<sql_types::Text, _>(purchase.user.as_str())
        .bind::<sql_types::Text, _>(reason)
        .execute(&mut *self.connection.lock().await)
        .await?;
        Ok(recorded == 1)
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
        purchases::earlier_buyers(&mut *self.connection.lock().await, product, after, limit).await
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        let (user, pseudonym) = (user.clone(), pseudonym.clone());
        self.transaction("erase", move |connection| {
            async move { changes::erase(connection, &user, &pseudonym).await }.boxed()
        })
        .await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        changes::page(&mut *self.connection.lock().await, after, limit).await
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        let changes = changes.to_vec();
        self.transaction("complete_changes", move |connection| {
            async move { changes::complete(connection, &changes).await }.boxed()
        })
        .await
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        changes::is_due(&mut *self.connection.lock().await, number).await
    }

    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        purchases::one(&mut *self.connection.lock().await, id).await
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        purchases::among(&mut *self.connection.lock().await, ids).await
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        let row: Option<PurchaseRow> = sql_query(
            "SELECT id, user_id, unit, admitted_at FROM live_purchases WHERE product_id = ?1 AND user_id = ?2",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::Text, _>(user.as_str())
        .get_result(&mut *self.connection.lock().await)
        .await
        .optional()?;
        row.map(|row| row.purchase(product)).transpose()
    }

    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        let row: Option<TakenBackRow> = sql_query(
            "SELECT purchase_id, reason, is_cancelled
             FROM (SELECT purchase_id, reason, revoked_at AS at, 0 AS is_cancelled
                   FROM revocations WHERE product_id = ?1 AND user_id = ?2
                   UNION ALL
                   SELECT id, cancel_reason, cancelled_at, 1
                   FROM purchases WHERE product_id = ?1 AND user_id = ?2 AND cancelled_at IS NOT NULL)
             ORDER BY at DESC LIMIT 1",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::Text, _>(user.as_str())
        .get_result(&mut *self.connection.lock().await)
        .await
        .optional()?;
        row.map(TakenBackRow::revocation).transpose()
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        let rows: Vec<RevokedRow> =
            sql_query("SELECT purchase_id, user_id FROM revocations WHERE product_id = ?1")
                .bind::<sql_types::Text, _>(product.as_str())
                .load(&mut *self.connection.lock().await)
                .await?;
        rows.into_iter().map(RevokedRow::revoked).collect()
    }

    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        let rows: Vec<PurchaseRow> = sql_query(
            "SELECT id, user_id, unit, admitted_at FROM live_purchases
             WHERE product_id = ?1 AND unit > ?2 ORDER BY unit LIMIT ?3",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::BigInt, _>(i64::from(after_unit))
        .bind::<sql_types::BigInt, _>(i64::from(limit))
        .load(&mut *self.connection.lock().await)
        .await?;
        rows.into_iter().map(|row| row.purchase(product)).collect()
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        let rows: Vec<ConfirmationRow> = sql_query(
            "SELECT unit, id, confirmed_at FROM live_purchases
             WHERE product_id = ?1 AND unit > ?2 ORDER BY unit LIMIT ?3",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::BigInt, _>(i64::from(after_unit))
        .bind::<sql_types::BigInt, _>(i64::from(limit))
        .load(&mut *self.connection.lock().await)
        .await?;
        rows.into_iter().map(ConfirmationRow::confirmation).collect()
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        purchases::page(&mut *self.connection.lock().await, product, after, limit).await
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        let row: CountRow = sql_query(
            "SELECT count(*) AS count FROM purchases WHERE product_id = ?1 AND unit = ?2 AND holds_unit",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::BigInt, _>(i64::from(unit))
        .get_result(&mut *self.connection.lock().await)
        .await?;
        Ok(row.count > 0)
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        purchases::counts(&mut *self.connection.lock().await, product).await
    }

    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let row: Option<CountRow> = sql_query(format!(
            "UPDATE products SET epoch = max(epoch, ?2) + 1, updated_at = {NOW} WHERE id = ?1 RETURNING epoch AS count"
        ))
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::BigInt, _>(i64::try_from(found).unwrap_or(0))
        .get_result(&mut *self.connection.lock().await)
        .await
        .optional()?;
        let epoch = row.map(|row| row.count.unsigned_abs());
        let epoch = epoch.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
        Ok(RaisedEpoch { epoch, opened_epoch: epoch.saturating_sub(1) })
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        let product = product.clone();
        self.transaction("settle_stock", move |connection| {
            async move { products::settle_stock(connection, &product, wanted, lower).await }.boxed()
        })
        .await
    }

    async fn record_discard(&self, _discard: Discard) -> Result<(), LedgerError> {
        Err(LedgerError::Corrupt("a dead letter of the in-memory broker"))
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

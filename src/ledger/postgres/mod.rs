//! The ledger in PostgreSQL.

mod connect;
mod leader;
mod persist;
mod rows;
mod schema;

use std::time::Duration;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::sql, sql_query, sql_types,
};
use diesel_async::{
    AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    pooled_connection::deadpool::{Object, Pool},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::{FutureExt, future::BoxFuture};

use super::{Confirmation, Discard, LedgerError, LedgerSale, column, number};
use crate::config::ServiceUrl;
use crate::domain::{Product, ProductId, Purchase, PurchaseId, Revocation, UserId};
pub use leader::Leader;
use rows::{EpochRow, ProductRow, PurchaseRow, SaleRow};
use schema::{products, purchases, revocations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Keys of PostgreSQL's advisory locks; one database holds one system. The numbers are arbitrary.
mod lock {
    pub(super) const MIGRATIONS: i64 = 0x666c_6173_6801;
    pub(super) const LEADER: i64 = 0x666c_6173_6802;
    /// Shared by every transaction that persists; exclusive while a rebuild takes its snapshot.
    pub(super) const WORKERS: i64 = 0x666c_6173_6803;
}

/// How to reach PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`
    pub url: ServiceUrl,
    /// What shows in `pg_stat_activity`.
    pub application_name: String,
    /// Most connections.
    pub pool_size: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Longest statement.
    pub statement_timeout: Duration,
    /// Longest wait for a lock.
    pub lock_timeout: Duration,
}

/// The ledger in PostgreSQL; clones share the pool.
#[derive(Clone)]
pub struct PostgresLedger {
    pool: Pool<AsyncPgConnection>,
    options: PostgresOptions,
}

impl std::fmt::Debug for PostgresLedger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PostgresLedger({})", self.options.application_name)
    }
}

impl PostgresLedger {
    /// Connects when first used. Fails only if the URL can't be read.
    pub fn new(options: PostgresOptions) -> Result<Self, LedgerError> {
        Ok(Self { pool: connect::pool(&options)?, options })
    }

    async fn connection(&self) -> Result<Object<AsyncPgConnection>, LedgerError> {
        Ok(self.pool.get().await?)
    }

    pub(super) async fn migrate(&self) -> Result<usize, LedgerError> {
        let mut connection = connect::establish(&self.options).await?;
        // Released with the connection, whatever happens.
        sql_query("SELECT pg_advisory_lock($1)")
            .bind::<sql_types::BigInt, _>(lock::MIGRATIONS)
            .execute(&mut connection)
            .await?;
        let migrating = tokio::spawn(async move {
            let mut harness = AsyncMigrationHarness::new(connection);
            harness.run_pending_migrations(MIGRATIONS).map(|applied| applied.len())
        });
        let ended = migrating.await.map_err(|panicked| LedgerError::Migration(panicked.to_string()))?;
        match ended {
            Ok(applied) => Ok(applied),
            // A database that went away meanwhile is waited for; a migration that does not fit is not.
            Err(error) => Err(match self.ping().await {
                Ok(()) => LedgerError::Migration(error.to_string()),
                Err(away) => away,
            }),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), LedgerError> {
        Ok(self.connection().await?.batch_execute("SELECT 1").await?)
    }

    pub(super) async fn upsert_products(&self, catalogue: &[Product]) -> Result<(), LedgerError> {
        let catalogue = catalogue.to_vec();
        self.transaction("upsert_products", move |connection| {
            async move {
                for product in &catalogue {
                    let id = product.id.as_str();
                    let row = ProductRow::from(product);
                    let stock = products::total_stock.eq(column(product.total_stock));
                    let raised =
                        sql::<sql_types::Integer>("GREATEST(products.total_stock, excluded.total_stock)");
                    let lower = sql::<sql_types::Nullable<sql_types::Integer>>(
                        "CASE WHEN excluded.total_stock < products.total_stock THEN excluded.total_stock END",
                    );
                    diesel::insert_into(products::table)
                        .values((&row, stock))
                        .on_conflict(products::id)
                        .do_update()
                        .set((
                            &row,
                            products::total_stock.eq(raised),
                            products::lower_stock_to.eq(lower),
                            products::updated_at.eq(diesel::dsl::now),
                        ))
                        .execute(connection)
                        .await?;
                    let highest = purchases::table.filter(purchases::product_id.eq(id));
                    let highest: Option<i32> =
                        highest.select(diesel::dsl::max(purchases::unit)).first(connection).await?;
                    let highest_unit = number(highest.unwrap_or(0));
                    if product.total_stock < highest_unit {
                        let (product, total_stock) = (product.id.clone(), product.total_stock);
                        return Err(LedgerError::StockBelowSold { product, total_stock, highest_unit });
                    }
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn settle_stock(
        &self,
        product: &ProductId,
        wanted: u32,
        lower: bool,
    ) -> Result<bool, LedgerError> {
        let (id, wanted) = (product.to_string(), column(wanted));
        self.transaction("settle_stock", move |connection| {
            async move {
                // Waits for the transactions that insert under the old stock, and holds up new ones.
                let row = products::table.find(&id).for_update();
                let asked: Option<i32> = row.select(products::lower_stock_to).first(connection).await?;
                if asked != Some(wanted) {
                    return Ok(false);
                }
                let rows = purchases::table.filter(purchases::product_id.eq(&id));
                let highest: Option<i32> =
                    rows.select(diesel::dsl::max(purchases::unit)).first(connection).await?;
                let lowered = lower && highest.unwrap_or(0) <= wanted;
                let change = || diesel::update(products::table.find(&id));
                if lowered {
                    change().set(products::total_stock.eq(wanted)).execute(connection).await?;
                }
                change().set(products::lower_stock_to.eq(None::<i32>)).execute(connection).await?;
                Ok(lowered)
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        let changed = diesel::update(products::table.find(product.as_str()))
            .set((products::paused.eq(paused), products::updated_at.eq(diesel::dsl::now)))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    pub(super) async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        let rows: Vec<SaleRow> = sql_query(
            "SELECT id, epoch, opened_epoch, total_stock, sale_start, sale_end, paused, lower_stock_to,
                    (SELECT max(unit) FROM purchases WHERE product_id = products.id) AS highest_unit
             FROM products ORDER BY id",
        )
        .load(&mut self.connection().await?)
        .await?;
        rows.into_iter().map(LedgerSale::try_from).collect()
    }

    pub(super) async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let (purchase, reason) = (purchase.clone(), reason.to_owned());
        self.transaction("revoke", move |connection| {
            async move {
                // Waits for whoever may be inserting this very purchase, and holds up who would.
                let row = products::table.find(purchase.product.as_str()).for_update();
                row.select(products::id).first::<String>(connection).await.optional()?;
                let recorded = sql_query(
                    "INSERT INTO revocations (purchase_id, product_id, user_id, reason)
                     SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM purchases WHERE id = $1)
                     ON CONFLICT DO NOTHING",
                )
                .bind::<sql_types::Uuid, _>(purchase.id.0)
                .bind::<sql_types::Text, _>(purchase.product.as_str())
                .bind::<sql_types::Text, _>(purchase.user.as_str())
                .bind::<sql_types::Text, _>(reason)
                .execute(connection)
                .await?;
                Ok(recorded == 1)
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn purchase(&self, id: PurchaseId) -> Result<Option<Purchase>, LedgerError> {
        let found: Option<(String, PurchaseRow)> = purchases::table
            .find(id.0)
            .select((purchases::product_id, PurchaseRow::as_select()))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        let Some((product, row)) = found else { return Ok(None) };
        let product = ProductId::parse(&product).map_err(|_why| LedgerError::Corrupt("product id"))?;
        row.purchase(&product).map(Some)
    }

    pub(super) async fn purchase_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Purchase>, LedgerError> {
        let row: Option<PurchaseRow> = purchases::table
            .filter(purchases::product_id.eq(product.as_str()))
            .filter(purchases::user_id.eq(user.as_str()))
            .select(PurchaseRow::as_select())
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(|row| row.purchase(product)).transpose()
    }

    pub(super) async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        let row: Option<(uuid::Uuid, String)> = revocations::table
            .filter(revocations::product_id.eq(product.as_str()))
            .filter(revocations::user_id.eq(user.as_str()))
            .order(revocations::revoked_at.desc())
            .select((revocations::purchase_id, revocations::reason))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(|(id, reason)| Revocation { id: PurchaseId(id), reason }))
    }

    pub(super) async fn revocations(
        &self,
        product: &ProductId,
    ) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        let rows: Vec<(uuid::Uuid, String)> = revocations::table
            .filter(revocations::product_id.eq(product.as_str()))
            .select((revocations::purchase_id, revocations::user_id))
            .load(&mut self.connection().await?)
            .await?;
        let user = |text: &str| UserId::parse(text).map_err(|_why| LedgerError::Corrupt("user id"));
        rows.into_iter().map(|(id, text)| Ok((PurchaseId(id), user(&text)?))).collect()
    }

    pub(super) async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        sql_query(
            "INSERT INTO discards (letter_id, purchase_id, body, letter_reason, discarded_by, reason)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind::<sql_types::Text, _>(discard.letter_id)
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(discard.purchase.map(|id| id.0))
        .bind::<sql_types::Binary, _>(discard.body)
        .bind::<sql_types::Text, _>(discard.letter_reason)
        .bind::<sql_types::Text, _>(discard.discarded_by)
        .bind::<sql_types::Text, _>(discard.reason)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    pub(super) async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        let rows: Vec<PurchaseRow> = purchases::table
            .filter(purchases::product_id.eq(product.as_str()))
            .filter(purchases::unit.gt(column(after_unit)))
            .order(purchases::unit)
            .limit(limit.into())
            .select(PurchaseRow::as_select())
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(|row| row.purchase(product)).collect()
    }

    pub(super) async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        let rows: Vec<(i32, uuid::Uuid, chrono::DateTime<chrono::Utc>)> = purchases::table
            .filter(purchases::product_id.eq(product.as_str()))
            .filter(purchases::unit.gt(column(after_unit)))
            .order(purchases::unit)
            .limit(limit.into())
            .select((purchases::unit, purchases::id, purchases::confirmed_at))
            .load(&mut self.connection().await?)
            .await?;
        let confirmation = |(unit, id, at)| Confirmation { unit: number(unit), id: PurchaseId(id), at };
        Ok(rows.into_iter().map(confirmation).collect())
    }

    pub(super) async fn count(&self, product: &ProductId) -> Result<u64, LedgerError> {
        let rows = purchases::table.filter(purchases::product_id.eq(product.as_str())).count();
        let number: i64 = rows.get_result(&mut self.connection().await?).await?;
        Ok(number.unsigned_abs())
    }

    pub(super) async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<u64, LedgerError> {
        let row: Option<EpochRow> = sql_query(
            "UPDATE products SET epoch = GREATEST(epoch, $2) + 1, updated_at = now() WHERE id = $1 RETURNING epoch",
        )
        .bind::<sql_types::Text, _>(product.as_str())
        .bind::<sql_types::BigInt, _>(i64::try_from(found).unwrap_or(0))
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        row.map(|row| row.epoch.unsigned_abs()).ok_or_else(|| LedgerError::UnknownProduct(product.clone()))
    }

    pub(super) async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        let changed = sql_query("UPDATE products SET opened_epoch = $2 WHERE id = $1 AND epoch = $2")
            .bind::<sql_types::Text, _>(product.as_str())
            .bind::<sql_types::BigInt, _>(i64::try_from(epoch).unwrap_or(i64::MAX))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(changed == 1)
    }

    pub(super) async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        // Outside a transaction the lock ends with the statement: it is only a question.
        leader::share_workers_lock(&mut *self.connection().await?).await
    }

    pub(super) async fn lead(&self) -> Result<Option<Leader>, LedgerError> {
        Leader::elect(connect::establish(&self.options).await?).await
    }

    /// The one way in which transactions are run: in a task of their own, because a transaction that is dropped
    /// half-way would leave its connection in an unknown state; bounded by the connection's time-outs.
    async fn transaction<R, F>(&self, name: &'static str, body: F) -> Result<R, LedgerError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, Result<R, LedgerError>>
            + Send
            + 'static,
    {
        let mut connection = self.connection().await?;
        let started = std::time::Instant::now();
        let running = tokio::spawn(async move {
            connection.transaction(async move |connection| body(connection).await).await
        });
        let ended =
            running.await.map_err(|panicked| LedgerError::Unavailable(format!("{name}: {panicked}")))?;
        tracing::trace!(transaction = name, elapsed = ?started.elapsed(), ok = ended.is_ok());
        ended
    }
}

//! The one row that says which system a file belongs to, and the file as a whole.

use async_trait::async_trait;
use diesel::{sql_query, sql_types::Text};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{
    SqliteLedger,
    connect::{NOW, connect},
};
use crate::ledger::{LedgerError, System, SystemLedger};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

#[async_trait]
impl SystemLedger for SqliteLedger {
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
        let connection = &mut *self.connection.lock().await;
        sql_query("INSERT INTO system (prefix) VALUES (?1) ON CONFLICT DO NOTHING")
            .bind::<Text, _>(prefix)
            .execute(connection)
            .await?;
        Ok(sql_query("SELECT id, prefix FROM system").get_result(connection).await?)
    }

    /// The lock of the file has kept other processes out.
    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        let update = sql_query("UPDATE system SET prefix = ?1").bind::<Text, _>(prefix);
        update.execute(&mut *self.connection.lock().await).await?;
        Ok(())
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        // SQLite writes no page for a row that stays as it is.
        let write = format!(
            "UPDATE products SET updated_at = max(updated_at + 1, {NOW})
             WHERE id = (SELECT min(id) FROM products)"
        );
        Ok(self.connection.lock().await.batch_execute(&write).await?)
    }
}

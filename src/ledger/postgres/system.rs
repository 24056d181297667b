//! The one row that says which system a database belongs to, and the database as a whole.

use async_trait::async_trait;
use diesel::{OptionalExtension, sql_query, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{PostgresLedger, connect, migrations};
use crate::ledger::{LedgerError, System, SystemLedger, rows::CountRow};

/// Connections of processes that stay connected. Commands of an operator come and go.
const CONNECTED: &str = "SELECT count(*) AS count
                         FROM pg_stat_activity
                         WHERE datname = current_database()
                           AND application_name IN ('flashsale serve', 'flashsale work', 'flashsale web')";

#[async_trait]
impl SystemLedger for PostgresLedger {
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
        if let Some(system) = read(&mut connection).await? {
            return Ok(system);
        }
        sql_query("INSERT INTO system (prefix) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind::<Text, _>(prefix)
            .execute(&mut connection)
            .await?;
        read(&mut connection).await?.ok_or_else(|| LedgerError::Corrupt("no system".into()))
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        let mut connection = self.connection().await?;
        let connected: CountRow = sql_query(CONNECTED).get_result(&mut connection).await?;
        if connected.count > 0 {
            return Err(LedgerError::InUse(connected.count));
        }
        let update = sql_query("UPDATE system SET prefix = $1").bind::<Text, _>(prefix);
        update.execute(&mut connection).await?;
        Ok(())
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        let write = "UPDATE system SET prefix = prefix";
        Ok(self.connection().await?.batch_execute(write).await?)
    }
}

async fn read(connection: &mut AsyncPgConnection) -> Result<Option<System>, LedgerError> {
    Ok(sql_query("SELECT id, prefix FROM system").get_result(connection).await.optional()?)
}

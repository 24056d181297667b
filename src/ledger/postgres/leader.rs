//! Leader election and the workers' pause, by advisory locks.

use std::fmt;

use async_trait::async_trait;
use diesel::{sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{LedgerError, lock, rows::BoolRow};
use crate::ledger::Leadership;

/// Holds the leader's lock for as long as its connection lives.
pub(super) struct PostgresLeader(AsyncPgConnection);

impl fmt::Debug for PostgresLeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PostgresLeader")
    }
}

impl PostgresLeader {
    pub(super) async fn elect(mut connection: AsyncPgConnection) -> Result<Option<Self>, LedgerError> {
        let elected = query(&mut connection, "SELECT pg_try_advisory_lock($1) AS yes", lock::LEADER).await?;
        Ok(elected.then_some(Self(connection)))
    }
}

#[async_trait]
impl Leadership for PostgresLeader {
    async fn check(&mut self) -> Result<(), LedgerError> {
        Ok(self.0.batch_execute("SELECT 1").await?)
    }

    async fn pause_workers(&mut self) -> Result<(), LedgerError> {
        let lock = sql_query("SELECT pg_advisory_lock($1)").bind::<BigInt, _>(lock::WORKERS);
        lock.execute(&mut self.0).await?;
        Ok(())
    }

    async fn resume_workers(&mut self) -> Result<(), LedgerError> {
        query(&mut self.0, "SELECT pg_advisory_unlock($1) AS yes", lock::WORKERS).await?;
        Ok(())
    }
}

/// Takes the workers' lock for the rest of the transaction. False: a rebuild has it,
/// or waits for it.
pub(super) async fn share_workers_lock(connection: &mut AsyncPgConnection) -> Result<bool, LedgerError> {
    query(connection, "SELECT pg_try_advisory_xact_lock_shared($1) AS yes", lock::WORKERS).await
}

async fn query(connection: &mut AsyncPgConnection, sql: &str, key: i64) -> Result<bool, LedgerError> {
    let row: BoolRow = sql_query(sql).bind::<BigInt, _>(key).get_result(connection).await?;
    Ok(row.yes)
}

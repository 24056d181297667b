//! Advisory locks: who leads, and who stands aside.

use diesel::{sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{LedgerError, lock, rows::BoolRow};

/// Holds the leader's lock for as long as its connection lives.
pub struct Leader(Option<AsyncPgConnection>);

impl std::fmt::Debug for Leader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Leader")
    }
}

impl Leader {
    /// The leader where there is no other process.
    pub(in crate::ledger) fn alone() -> Self {
        Self(None)
    }

    pub(super) async fn elect(mut connection: AsyncPgConnection) -> Result<Option<Self>, LedgerError> {
        let elected = ask(&mut connection, "SELECT pg_try_advisory_lock($1) AS yes", lock::LEADER).await?;
        Ok(elected.then_some(Self(Some(connection))))
    }

    /// Fails when the connection, and with it the lead, is lost.
    pub async fn check(&mut self) -> Result<(), LedgerError> {
        match &mut self.0 {
            Some(connection) => Ok(connection.batch_execute("SELECT 1").await?),
            None => Ok(()),
        }
    }

    /// Waits until no worker is in a transaction, and keeps them out until [`Leader::resume_workers`] or until the
    /// lead is lost. Fails after the lock time-out; asking again is safe.
    pub async fn pause_workers(&mut self) -> Result<(), LedgerError> {
        if let Some(connection) = &mut self.0 {
            sql_query("SELECT pg_advisory_lock($1)")
                .bind::<BigInt, _>(lock::WORKERS)
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    /// Lets the workers go on.
    pub async fn resume_workers(&mut self) -> Result<(), LedgerError> {
        if let Some(connection) = &mut self.0 {
            ask(connection, "SELECT pg_advisory_unlock($1) AS yes", lock::WORKERS).await?;
        }
        Ok(())
    }
}

/// Takes the workers' lock for the rest of the transaction. False: a rebuild has it, or waits for it.
pub(super) async fn share_workers_lock(connection: &mut AsyncPgConnection) -> Result<bool, LedgerError> {
    ask(connection, "SELECT pg_try_advisory_xact_lock_shared($1) AS yes", lock::WORKERS).await
}

async fn ask(connection: &mut AsyncPgConnection, question: &str, key: i64) -> Result<bool, LedgerError> {
    let row: BoolRow = sql_query(question).bind::<BigInt, _>(key).get_result(connection).await?;
    Ok(row.yes)
}

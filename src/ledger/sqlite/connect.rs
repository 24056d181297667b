//! Connections to the file.

use diesel::SqliteConnection;
use diesel_async::{AsyncConnection, SimpleAsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};

use crate::ledger::LedgerError;

/// SQL for the time now, in milliseconds.
pub(super) const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

pub(super) type Connection = SyncConnectionWrapper<SqliteConnection>;

pub(super) async fn connect(path: &str) -> Result<Connection, LedgerError> {
    let mut connection = Connection::establish(path).await?;
    // A commit is on disk when it returns (FULL), and readers such as `flashsale pause` don't block
    // it (WAL).
    connection
        .batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON",
        )
        .await?;
    Ok(connection)
}

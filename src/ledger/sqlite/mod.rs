//! The ledger in a SQLite file, for the embedded mode: one process, one connection.

mod changes;
mod connect;
mod epochs;
mod erasure;
mod products;
mod purchases;
mod record;
mod system;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::LedgerError;
use connect::{Connection, connect};

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

//! The ledger in PostgreSQL.

mod changes;
mod connect;
mod epochs;
mod erasure;
mod leader;
mod lock;
mod migrations;
mod options;
mod products;
mod purchases;
mod record;
mod session;
mod system;
mod url;

use std::sync::Arc;

use diesel_async::{
    AsyncConnection, AsyncPgConnection,
    pooled_connection::deadpool::{Object, Pool},
};
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::LedgerError;
pub use options::PostgresOptions;
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

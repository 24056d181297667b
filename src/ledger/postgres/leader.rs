//! Leader election and the workers' pause, by advisory locks.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use diesel::{sql_query, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::task::JoinSet;

use super::{
    LedgerError, PostgresOptions, lock,
    session::{Session, prove_own_backends},
};
use crate::ledger::{Leadership, rows::BoolRow};

/// The server ends a leader's session that says nothing for so long: a leader that is frozen while
/// its host lives loses the lead.
const SILENCE_MAX: &str = "15s";
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// Holds the leader's lock for as long as its session lives.
pub(super) struct PostgresLeader {
    session: Arc<Session>,
    /// Ends with the leader.
    _keep_alive: JoinSet<()>,
}

impl fmt::Debug for PostgresLeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PostgresLeader")
    }
}

impl PostgresLeader {
    pub(super) async fn elect(options: &PostgresOptions) -> Result<Option<Self>, LedgerError> {
        let session = Session::open(options).await?;
        if session.is_true(&lock::is_held(lock::LEADER)).await? {
            return Ok(None);
        }
        // Before the lock: on a shared backend it would stay behind, and nobody could lead.
        prove_own_backends(&session, &Session::open(options).await?).await?;
        let key = lock::LEADER;
        if !session.is_true(&format!("SELECT pg_try_advisory_lock({key})")).await? {
            return Ok(None);
        }
        session.run(&limit_silence()).await?;
        let session = Arc::new(session);
        let mut keep_alive = JoinSet::new();
        keep_alive.spawn(keep_alive_of(session.clone()));
        let mut leader = Self { session, _keep_alive: keep_alive };
        leader.check().await?;
        Ok(Some(leader))
    }
}

/// PostgreSQL 13 does not have the setting.
fn limit_silence() -> String {
    format!(
        "SELECT set_config(name, '{SILENCE_MAX}', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
    )
}

/// A round may work for minutes without a statement on this session.
async fn keep_alive_of(session: Arc<Session>) {
    let mut interval = tokio::time::interval(KEEP_ALIVE_INTERVAL);
    loop {
        interval.tick().await;
        if session.run("").await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Leadership for PostgresLeader {
    async fn check(&mut self) -> Result<(), LedgerError> {
        if self.session.is_true(&lock::is_held_here(lock::LEADER)).await? {
            return Ok(());
        }
        Err(LedgerError::Unavailable("the lead is lost: this session does not hold the leader's lock".into()))
    }

    async fn pause_workers(&mut self) -> Result<(), LedgerError> {
        self.session.run(&format!("SELECT pg_advisory_lock({})", lock::WORKERS)).await
    }

    async fn resume_workers(&mut self) -> Result<(), LedgerError> {
        self.session.run(&format!("SELECT pg_advisory_unlock({})", lock::WORKERS)).await
    }
}

/// Takes the workers' lock for the rest of the transaction. False: a rebuild has it,
/// or waits for it.
pub(super) async fn share_workers_lock(connection: &mut AsyncPgConnection) -> Result<bool, LedgerError> {
    let row: BoolRow = sql_query("SELECT pg_try_advisory_xact_lock_shared($1) AS yes")
        .bind::<BigInt, _>(lock::WORKERS)
        .get_result(connection)
        .await?;
    Ok(row.yes)
}

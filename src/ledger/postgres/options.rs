//! `[ledger]`

use std::time::Duration;

use super::url;
use crate::config::{Reader, ServiceUrl};

#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, with several hosts, or with a socket's
    /// directory as `host`.
    pub url: ServiceUrl,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    pub pool_size: usize,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
}

impl PostgresOptions {
    pub fn read(reader: &mut Reader, url: ServiceUrl) -> Self {
        if let Some(Err(allowed)) = url.is_set().then(|| url::read(&url)) {
            reader.wrong_url("database_url", &allowed);
        }
        Self {
            url,
            application_name: "flashsale".to_owned(),
            pool_size: reader.integer("ledger.pool_size", 1..=1_000),
            connect_timeout: reader.millis("ledger.connect_timeout_ms", 10..=60_000),
            statement_timeout: reader.millis("ledger.statement_timeout_ms", 100..=600_000),
            lock_timeout: reader.millis("ledger.lock_timeout_ms", 100..=600_000),
        }
    }

    /// The same for one command: its name shows in `pg_stat_activity`.
    #[must_use]
    pub fn of_command(&self, command: &str) -> Self {
        Self { application_name: format!("flashsale {command}"), ..self.clone() }
    }

    /// Connections that a process may have at a time.
    pub fn connections_max(&self) -> usize {
        /// Of the leader, of the proof that sessions are a process's own, and of migrations; and
        /// those that they replace.
        const SESSIONS: usize = 8;
        self.pool_size + SESSIONS
    }
}

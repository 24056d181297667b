//! A session of its own, for statements that must meet one backend, and the proof that they do.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{PostgresOptions, connect};
use crate::ledger::LedgerError;

/// Statements are sent as text: a pool that passes a client's statements to several backends breaks
/// prepared ones, and the proof has to run on such a pool as well.
#[derive(Debug)]
pub(super) struct Session(Client);

impl Session {
    pub(super) async fn open(options: &PostgresOptions) -> Result<Self, LedgerError> {
        let (client, driver) = connect::open(options).await?;
        // Ends when the client is dropped.
        tokio::spawn(driver);
        let session = Self(client);
        session.run(&connect::bounds(options)).await?;
        Ok(session)
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), LedgerError> {
        self.0.batch_execute(sql).await.map_err(unavailable)
    }

    /// The only value of the only row.
    pub(super) async fn value(&self, sql: &str) -> Result<String, LedgerError> {
        let answer = self.0.simple_query(sql).await.map_err(unavailable)?;
        let value = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        value.map(str::to_owned).ok_or_else(|| LedgerError::Corrupt("no value".into()))
    }

    /// Whether the only value of the only row is true.
    pub(super) async fn is_true(&self, sql: &str) -> Result<bool, LedgerError> {
        Ok(self.value(sql).await? == "t")
    }
}

fn unavailable(error: tokio_postgres::Error) -> LedgerError {
    LedgerError::Unavailable(error.into())
}

/// Proves that each of two sessions has a backend of its own. With a pool that assigns a backend
/// for one transaction or statement, the lock of a session, its timeouts and its way to commit
/// would belong to other clients.
pub(super) async fn prove_own_backends(one: &Session, other: &Session) -> Result<(), LedgerError> {
    let mut backends = [Vec::new(), Vec::new()];
    // Not in turn: a pool that assigns its backends in turn would look like two sessions.
    for number in [0, 1, 1, 0, 0] {
        let session = if number == 0 { one } else { other };
        backends[number].push(session.value("SELECT pg_backend_pid()").await?);
    }
    let [of_one, of_other] = &mut backends;
    of_one.dedup();
    of_other.dedup();
    let are_own = of_one.len() == 1 && of_other.len() == 1 && of_one != of_other;
    if are_own { Ok(()) } else { Err(LedgerError::SharedSessions) }
}

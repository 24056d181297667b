//! Connections to PostgreSQL, with every bound set.

use std::time::Duration;

use deadpool::managed::{Hook, HookError};
use diesel::{ConnectionError, ConnectionResult, sql_query};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool},
};
use futures_util::FutureExt;
use tokio_postgres::{Client, Connection, NoTls, Socket, config::TargetSessionAttrs, tls::NoTlsStream};

use super::{
    LedgerError, PostgresOptions,
    url::{self, DatabaseHost},
};
use crate::ledger::rows::NameRow;
use crate::runtime::error_chain;

/// A connection is replaced at this age, so that none stays with a server that has
/// been demoted or moved.
const CONNECTION_AGE_MAX: Duration = Duration::from_mins(2);

type Driver = Connection<Socket, NoTlsStream>;

pub(super) fn pool(options: &PostgresOptions) -> Result<Pool<AsyncPgConnection>, LedgerError> {
    // Each host may use up its timeout.
    let timeout = options.connect_timeout * u32::try_from(hosts(options)?.len()).unwrap_or(u32::MAX);
    let mut config = ManagerConfig::default();
    let setup_options = options.clone();
    config.custom_setup = Box::new(move |_url| {
        let options = setup_options.clone();
        async move { establish(&options).await }.boxed()
    });
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::new_with_config(options.url.expose(), config);
    Pool::builder(manager)
        .max_size(options.pool_size)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(timeout))
        .create_timeout(Some(timeout))
        .recycle_timeout(Some(options.connect_timeout))
        .pre_recycle(Hook::sync_fn(|_, metrics| {
            if metrics.age() > CONNECTION_AGE_MAX {
                return Err(HookError::message("old enough"));
            }
            Ok(())
        }))
        .build()
        .map_err(|error| LedgerError::Unavailable(error.into()))
}

fn hosts(options: &PostgresOptions) -> Result<Vec<DatabaseHost>, LedgerError> {
    let mut hosts = url::read(&options.url)
        .map_err(|allowed| LedgerError::Unavailable(format!("DATABASE_URL must be {allowed}").into()))?;
    for DatabaseHost { config, .. } in &mut hosts {
        config
            .application_name(&options.application_name)
            .connect_timeout(options.connect_timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15))
            // A replica, or a demoted primary, answers SELECT 1 and refuses every purchase.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Ok(hosts)
}

/// Connects to the first host that takes writes, and leaves the session as the server makes it. The
/// connection must be polled.
pub(super) async fn open(options: &PostgresOptions) -> ConnectionResult<(Client, Driver)> {
    let hosts = hosts(options).map_err(|error| ConnectionError::BadConnection(error_chain(&error)))?;
    let is_one = hosts.len() == 1;
    let mut refused = Vec::new();
    for DatabaseHost { name, config } in hosts {
        let failed = match tokio::time::timeout(options.connect_timeout, config.connect(NoTls)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
            Err(_elapsed) => "connecting took too long".to_owned(),
        };
        refused.push(if is_one { failed } else { format!("{name}: {failed}") });
    }
    Err(ConnectionError::BadConnection(refused.join("; ")))
}

/// A connection of its own, outside the pool, or for it.
pub(super) async fn establish(options: &PostgresOptions) -> ConnectionResult<AsyncPgConnection> {
    let (client, driver) = open(options).await?;
    let mut connection = AsyncPgConnection::try_from_client_and_connection(client, driver).await?;
    let set = connection.batch_execute(&bounds(options)).await;
    set.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}

/// SQL for the settings of every session.
pub(super) fn bounds(options: &PostgresOptions) -> String {
    // A purchase that is reported as recorded must survive the server's death, whatever the server,
    // the database or the role is configured to. `remote_apply` is stronger, and stays.
    let commit = "SELECT set_config('synchronous_commit', 'on', false)
                  WHERE current_setting('synchronous_commit') <> 'remote_apply'";
    // The server's own keep-alives as well: a host that is gone without a word must not hold the
    // leader's lock.
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = '30s';
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;
         SET tcp_user_timeout = '20s'; {commit}",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
    )
}

/// Warns of settings under which the server can lose what it has committed. A session
/// can't change them.
pub(super) async fn warn_of_unsafe_settings(connection: &mut AsyncPgConnection) -> Result<(), LedgerError> {
    let unsafe_settings: Vec<NameRow> = sql_query(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
    )
    .load(connection)
    .await?;
    for NameRow { name } in unsafe_settings {
        tracing::warn!(
            "PostgreSQL may lose recorded purchases, or its data, when its host fails: {name} is off, set it to on"
        );
    }
    Ok(())
}

//! The one row that says which system a database belongs to.

use diesel::{OptionalExtension, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::rows::{CountRow, SystemRow};
use crate::ledger::{LedgerError, System};

/// Connections of processes that stay connected. Commands of an operator come and go.
const CONNECTED: &str = "SELECT count(*) AS count
                         FROM pg_stat_activity
                         WHERE datname = current_database()
                           AND application_name IN ('flashsale serve', 'flashsale work', 'flashsale web')";

pub(super) async fn read(connection: &mut AsyncPgConnection, prefix: &str) -> Result<System, LedgerError> {
    if let Some(system) = row(connection).await? {
        return Ok(system);
    }
    sql_query("INSERT INTO system (prefix) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind::<ty::Text, _>(prefix)
        .execute(connection)
        .await?;
    row(connection).await?.ok_or(LedgerError::Corrupt("no system"))
}

async fn row(connection: &mut AsyncPgConnection) -> Result<Option<System>, LedgerError> {
    let row: Option<SystemRow> =
        sql_query("SELECT id, prefix FROM system").get_result(connection).await.optional()?;
    Ok(row.map(System::from))
}

pub(super) async fn change_prefix(
    connection: &mut AsyncPgConnection,
    prefix: &str,
) -> Result<(), LedgerError> {
    let connected: CountRow = sql_query(CONNECTED).get_result(connection).await?;
    if connected.count > 0 {
        return Err(LedgerError::InUse(connected.count));
    }
    sql_query("UPDATE system SET prefix = $1").bind::<ty::Text, _>(prefix).execute(connection).await?;
    Ok(())
}

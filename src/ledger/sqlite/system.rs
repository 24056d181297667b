//! The one row that says which system a file belongs to.

use diesel::{sql_query, sql_types as ty};
use diesel_async::RunQueryDsl;

use super::{connect::Connection, rows::SystemRow};
use crate::ledger::{LedgerError, System};

pub(super) async fn read(connection: &mut Connection, prefix: &str) -> Result<System, LedgerError> {
    sql_query("INSERT INTO system (prefix) VALUES (?1) ON CONFLICT DO NOTHING")
        .bind::<ty::Text, _>(prefix)
        .execute(connection)
        .await?;
    let row: SystemRow = sql_query("SELECT id, prefix FROM system").get_result(connection).await?;
    row.try_into()
}

/// See [`crate::ledger::Ledger::change_prefix`]. The lock of the file has kept other processes out.
pub(super) async fn change_prefix(connection: &mut Connection, prefix: &str) -> Result<(), LedgerError> {
    sql_query("UPDATE system SET prefix = ?1").bind::<ty::Text, _>(prefix).execute(connection).await?;
    Ok(())
}

//! Migrations. Every process compares them with the table of applied ones at its start, and changes
//! the schema only where one is missing. So a role that may not change it can start once another
//! one has.

use std::collections::HashSet;

use diesel::{migration::MigrationSource, pg::Pg, sql_query, sql_types as ty};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{PostgresOptions, connect, lock};
use crate::ledger::{
    LedgerError,
    diesel_error::outage_of,
    rows::{BoolRow, NameRow},
};
use crate::observability::Outage;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Applies what is missing, and returns how many that were.
pub(super) async fn apply(options: &PostgresOptions) -> Result<usize, LedgerError> {
    let mut connection = connect::establish(options).await?;
    let pending = pending(&mut connection).await?;
    if pending == 0 {
        return Ok(0);
    }
    // Released with the connection, whatever happens.
    sql_query("SELECT pg_advisory_lock($1)")
        .bind::<ty::BigInt, _>(lock::MIGRATIONS)
        .execute(&mut connection)
        .await?;
    let migrating = tokio::spawn(async move {
        let mut harness = AsyncMigrationHarness::new(connection);
        harness.run_pending_migrations(MIGRATIONS).map(|applied| applied.len())
    });
    let ended = migrating.await.map_err(|panicked| LedgerError::Migration(panicked.into()))?;
    ended.map_err(|error| match outage_of(&error) {
        Outage::AccessDenied => LedgerError::MigrationDenied { pending, cause: error },
        _ => LedgerError::Migration(error),
    })
}

/// How many migrations this database lacks.
async fn pending(connection: &mut AsyncPgConnection) -> Result<usize, LedgerError> {
    let has_table: BoolRow = sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS yes")
        .get_result(connection)
        .await?;
    let mut applied = HashSet::new();
    if has_table.yes {
        let versions = sql_query("SELECT version::text AS name FROM __diesel_schema_migrations");
        let versions: Vec<NameRow> = versions.load(connection).await?;
        applied.extend(versions.into_iter().map(|row| row.name));
    }
    let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(LedgerError::Migration)?;
    let versions = known.iter().map(|migration| migration.name().version().to_string());
    Ok(versions.filter(|version| !applied.contains(version)).count())
}

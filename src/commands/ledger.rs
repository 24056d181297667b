//! The ledger of a command, and whether it is of the configured system.

use std::sync::Arc;

use anyhow::ensure;

use super::{
    data_dir::DataDir,
    settings::{Mode, Settings},
};
use crate::domain::SystemId;
use crate::ledger::{Ledger, PostgresLedger, System};

/// Opens the ledger without the other stores. The embedded mode's database is made
/// if it is missing.
pub(super) async fn open_ledger(settings: &Settings, role: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    Ok(match &settings.mode {
        Mode::Embedded { data_dir } => Arc::new(DataDir::open_database(data_dir).await?),
        Mode::Distributed(services) => Arc::new(PostgresLedger::new(services.postgres.of_command(role))?),
    })
}

/// Opens the ledger for an operator's command, which makes no database. Fails if the ledger is
/// another system's.
pub(super) async fn open_own_ledger(settings: &Settings, role: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    if let Mode::Embedded { data_dir } = &settings.mode {
        DataDir::ensure_database(data_dir)?;
    }
    let ledger = open_ledger(settings, role).await?;
    identify(&*ledger, settings).await?;
    Ok(ledger)
}

/// Reads which system a ledger belongs to, and fails if that is not the configured one.
pub(super) async fn identify(ledger: &dyn Ledger, settings: &Settings) -> anyhow::Result<SystemId> {
    check_prefix(&ledger.system(&settings.prefix).await?, &settings.prefix)
}

/// Two prefixes on one database would be two admissions that sell the same units.
pub(super) fn check_prefix(system: &System, prefix: &str) -> anyhow::Result<SystemId> {
    ensure!(
        system.prefix == prefix,
        "this database belongs to the system with the prefix {:?}, and the configuration says {prefix:?}: set \
         FLASHSALE_PREFIX to {:?}, or use a database of its own. (To change the prefix of this system, end all \
         its processes once `flashsale audit` shows nothing in flight, and run `flashsale migrate \
         --change-prefix` with the new one.)",
        system.prefix,
        system.prefix
    );
    Ok(system.id)
}

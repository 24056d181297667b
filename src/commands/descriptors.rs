//! The descriptors of a process: what its servers and its stores need by the configuration.

use anyhow::anyhow;

use super::settings::{Mode, Settings};
use crate::broker::RabbitOptions;
use crate::http::{ConnectionBudget, Demand};

/// Connections of the process registry, and those that they replace.
const REGISTRY: usize = 4;
/// Files of the embedded database, and of what is written beside it.
const SQLITE: usize = 16;

/// The connections that each server of a process may have. `consumers`: of the process.
pub(super) fn budget(
    settings: &Settings,
    (buyers_servers, operators_servers): (usize, usize),
    consumers: usize,
) -> anyhow::Result<ConnectionBudget> {
    let stores = match &settings.mode {
        Mode::Embedded { .. } => SQLITE,
        Mode::Distributed(services) => {
            let (ledger, admission) = (services.postgres.connections_max(), services.redis.connections_max());
            ledger + admission + RabbitOptions::connections_max(consumers) + REGISTRY
        }
    };
    let buyers_max = settings.api.connections_max;
    let demand = Demand { buyers_servers, operators_servers, buyers_max, stores };
    ConnectionBudget::new(demand).map_err(|error| match &settings.mode {
        Mode::Embedded { .. } => error.into(),
        Mode::Distributed(services) => anyhow!(
            "{error}, or lower ledger.pool_size = {}, redis.connections = {} or worker.lanes = {}",
            services.postgres.pool_size,
            services.redis.connections,
            settings.worker.lanes
        ),
    })
}

//! Commands that are for the distributed mode alone.

use anyhow::Context;

use super::{
    settings::{Mode, Settings},
    stores::sources,
};
use crate::stores::Stores;

/// The stores for a command of the distributed mode. `none`: why the embedded mode has
/// no use for it.
pub(super) async fn distributed_stores(
    settings: &Settings,
    role: &str,
    none: &str,
) -> anyhow::Result<Stores> {
    let stores = match settings.mode {
        Mode::Embedded { .. } => None,
        Mode::Distributed(_) => sources(settings, role).await?.stores(),
    };
    stores.with_context(|| {
        format!(
            "`flashsale {role}` is for the distributed mode, and none of DATABASE_URL, REDIS_URL and AMQP_URL is set. \
             {none}"
        )
    })
}

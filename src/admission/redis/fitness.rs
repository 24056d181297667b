//! Whether a server may be sold from, as far as the server itself knows.

use std::sync::Arc;

use redis::{InfoDict, RedisError, aio::ConnectionLike};

use super::error;
use crate::observability::Outage;

/// Why nothing may be admitted on a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("Redis is loading its data")]
    Loading,
    #[error("the server is a replica, not the primary")]
    Replica,
    #[error("Redis may evict purchases: maxmemory-policy is {0}, set it to noeviction")]
    MayEvict(String),
    /// Without it, one incarnation of the server could not be told from another.
    #[error("INFO has no {0}")]
    NoIdentity(&'static str),
    #[error("the server has a state that was rolled back")]
    RolledBack,
    #[error("the address leads to another server than before")]
    LeadsElsewhere,
    #[error("all connections are replaced")]
    Replaced,
}

impl Unfit {
    pub(super) fn outage(&self) -> Outage {
        match self {
            Self::Redis(error) => error::outage(error),
            Self::Loading => Outage::Loading,
            Self::Replica => Outage::ReadOnly,
            Self::MayEvict(_) => Outage::Evicts,
            Self::NoIdentity(_) => Outage::Refused,
            Self::RolledBack | Self::LeadsElsewhere | Self::Replaced => Outage::NotConnected,
        }
    }
}

/// What a server says of itself.
pub(super) struct Fit {
    /// As open.lua writes it into the states that are made on the server.
    pub(super) identity: Arc<str>,
    pub(super) keeps_aof: bool,
}

/// Asks the server. PING would not do: a demoted primary keeps its connections and answers it.
pub(super) async fn check(connection: &mut (impl ConnectionLike + Send)) -> Result<Fit, Unfit> {
    let info: InfoDict = redis::cmd("INFO").query_async(connection).await?;
    let text = |name: &'static str| info.get::<String>(name).filter(|value| !value.is_empty());
    let required = |name: &'static str| text(name).ok_or(Unfit::NoIdentity(name));
    if text("loading").is_some_and(|loading| loading != "0") {
        return Err(Unfit::Loading);
    }
    if required("role")? != "master" {
        return Err(Unfit::Replica);
    }
    if let Some(policy) = text("maxmemory_policy").filter(|policy| policy != "noeviction") {
        return Err(Unfit::MayEvict(policy));
    }
    let identity = format!("{} {}", required("run_id")?, required("master_replid")?).into();
    Ok(Fit { identity, keeps_aof: text("aof_enabled").is_none_or(|enabled| enabled != "0") })
}

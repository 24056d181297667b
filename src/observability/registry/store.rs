//! Where heartbeats are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deadpool_redis::Pool;
use redis::{AsyncConnectionConfig, FromRedisValue, Script, ScriptInvocation};

use super::heartbeat::Heartbeat;
use crate::{config::ServiceUrl, runtime::Clock};

/// After so long without a heartbeat a process is removed, and its events with it.
const KEPT: Duration = Duration::from_hours(1);

/// Clones share the registry.
#[derive(Clone, Debug)]
pub struct ProcessRegistry {
    place: Place,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
enum Place {
    Redis(Arc<RedisRegistry>),
    Local(Arc<Mutex<HashMap<String, (Instant, Heartbeat)>>>),
}

struct RedisRegistry {
    seen_key: String,
    reports_key: String,
    /// The last heartbeat of this process, sent or not.
    own: Mutex<Option<(Instant, Heartbeat)>>,
    pool: Pool,
    heartbeat: Script,
    read: Script,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("the process registry in Redis can't be reached")]
    Redis(#[from] redis::RedisError),
    #[error("the process registry in Redis can't be reached")]
    Pool(#[from] deadpool_redis::PoolError),
    #[error("the process registry in Redis does not answer")]
    Timeout,
    #[error("a heartbeat can't be encoded")]
    Encoding(#[from] serde_json::Error),
}

impl ProcessRegistry {
    pub fn local(clock: &Arc<dyn Clock>) -> Self {
        Self { place: Place::Local(Arc::default()), clock: clock.clone() }
    }

    /// Connects when it is first used; `timeout` is for each connection and each reply.
    pub fn redis(
        url: &ServiceUrl,
        prefix: &str,
        timeout: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, redis::RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let manager = deadpool_redis::Manager::new_with_config(url.expose(), config)?;
        let pool = Pool::builder(manager)
            .max_size(2) // one for the sender, one for the operations console
            .runtime(deadpool_redis::Runtime::Tokio1)
            .timeouts(deadpool_redis::Timeouts {
                wait: Some(timeout),
                create: Some(timeout),
                recycle: Some(timeout),
            })
            .build()
            .map_err(|_no_runtime| {
                redis::RedisError::from((redis::ErrorKind::InvalidClientConfig, "pool"))
            })?;
        // The braces keep both keys in one Cluster slot.
        let key = |name: &str| format!("{prefix}:{{processes}}:{name}");
        let place = Place::Redis(Arc::new(RedisRegistry {
            seen_key: key("seen"),
            reports_key: key("reports"),
            own: Mutex::default(),
            pool,
            heartbeat: Script::new(include_str!("heartbeat.lua")),
            read: Script::new(include_str!("read.lua")),
        }));
        Ok(Self { place, clock: clock.clone() })
    }

    /// Replaces the earlier heartbeat of the same process.
    pub async fn send(&self, heartbeat: &Heartbeat) -> Result<(), RegistryError> {
        match &self.place {
            Place::Redis(registry) => {
                let own = Some((self.clock.instant(), heartbeat.clone()));
                *registry.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
                let text = serde_json::to_string(heartbeat)?;
                let mut script = registry.heartbeat.prepare_invoke();
                script.key(&registry.seen_key).key(&registry.reports_key).arg(&heartbeat.id).arg(text);
                script.arg(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
                registry.invoke(&script).await
            }
            Place::Local(heartbeats) => {
                let mut heartbeats = heartbeats.lock().unwrap_or_else(PoisonError::into_inner);
                heartbeats.insert(heartbeat.id.clone(), (self.clock.instant(), heartbeat.clone()));
                Ok(())
            }
        }
    }

    /// The last heartbeat of this process: all that can be read during an outage of Redis.
    pub fn own(&self) -> Option<(Instant, Heartbeat)> {
        match &self.place {
            Place::Redis(registry) => registry.own.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Place::Local(_) => None,
        }
    }

    /// The last heartbeat of every process, with its age. One that can't be decoded, of another
    /// version, is left out.
    pub async fn read(&self) -> Result<Vec<(Duration, Heartbeat)>, RegistryError> {
        match &self.place {
            Place::Redis(registry) => {
                let mut script = registry.read.prepare_invoke();
                script.key(&registry.seen_key).key(&registry.reports_key);
                let rows: Vec<(u64, String)> = registry.invoke(&script).await?;
                let decoded = |(age, text): (u64, String)| match serde_json::from_str(&text) {
                    Ok(heartbeat) => Some((Duration::from_millis(age), heartbeat)),
                    Err(error) => {
                        tracing::debug!(%error, "a heartbeat can't be decoded");
                        None
                    }
                };
                Ok(rows.into_iter().filter_map(decoded).collect())
            }
            Place::Local(heartbeats) => {
                let (now, heartbeats) = (self.clock.instant(), heartbeats.lock());
                let heartbeats = heartbeats.unwrap_or_else(PoisonError::into_inner);
                Ok(heartbeats.values().map(|(at, heartbeat)| (now - *at, heartbeat.clone())).collect())
            }
        }
    }
}

impl RedisRegistry {
    /// A connection on which a script failed is not used again: a demoted server keeps its
    /// connections, and refuses writes.
    async fn invoke<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, RegistryError> {
        let mut connection = self.pool.get().await?;
        let reply = call.invoke_async(&mut connection).await;
        if reply.is_err() {
            drop(deadpool_redis::Connection::take(connection));
        }
        Ok(reply?)
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Redis(_) => "Redis",
            Self::Local(_) => "Local",
        })
    }
}

//! Where processes post their reports: in Redis, for all to see, or in this process, where it is the only one.
//!
//! The reports say how the evening goes and decide nothing: losing them loses nothing, for the next ones come in a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deadpool_redis::Pool;
use redis::{AsyncConnectionConfig, Script};

mod presence;
mod report;
mod reporter;

pub(crate) use presence::{Presence, Present};
pub use report::{CheckReport, Report, Role, Window};
pub use reporter::Reporter;

use crate::config::ServiceUrl;

/// A process that has not reported for so long is forgotten, and with it what happened to it.
const KEPT: Duration = Duration::from_hours(1);

/// Where reports are posted; clones share it.
#[derive(Clone)]
pub enum Noticeboard {
    /// In Redis, under a key of this prefix.
    Redis(Arc<RedisBoard>),
    /// In this process.
    Local(Arc<Mutex<HashMap<String, (Instant, Report)>>>),
}

/// A noticeboard in Redis.
pub struct RedisBoard {
    seen: String,
    reports: String,
    /// This process's own, as it was posted last, or was to be.
    mine: Mutex<Option<(Instant, Report)>>,
    pool: Pool,
    post: Script,
    read: Script,
}

/// Why the noticeboard can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NoticeboardError {
    /// Redis is away.
    #[error("the noticeboard in Redis can't be reached")]
    Redis(#[from] redis::RedisError),
    /// No connection could be had.
    #[error("the noticeboard in Redis can't be reached")]
    Pool(#[from] deadpool_redis::PoolError),
    /// It has not answered in time.
    #[error("the noticeboard in Redis does not answer")]
    Silent,
    /// A report can't be written.
    #[error("a report can't be written")]
    Report(#[from] serde_json::Error),
}

impl Noticeboard {
    /// In this process.
    pub fn local() -> Self {
        Self::Local(Arc::default())
    }

    /// In Redis. Connects when it is first used; each answer is waited for so long.
    pub fn redis(url: &ServiceUrl, prefix: &str, patience: Duration) -> Result<Self, redis::RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        let manager = deadpool_redis::Manager::new_with_config(url.expose(), config)?;
        let pool = Pool::builder(manager)
            .max_size(2) // one who posts, one who reads
            .runtime(deadpool_redis::Runtime::Tokio1)
            .timeouts(deadpool_redis::Timeouts {
                wait: Some(patience),
                create: Some(patience),
                recycle: Some(patience),
            })
            .build()
            .map_err(|_no_runtime| {
                redis::RedisError::from((redis::ErrorKind::InvalidClientConfig, "pool"))
            })?;
        // The braces keep both keys in one Cluster slot.
        let key = |name: &str| format!("{prefix}:{{processes}}:{name}");
        Ok(Self::Redis(Arc::new(RedisBoard {
            seen: key("seen"),
            reports: key("reports"),
            mine: Mutex::default(),
            pool,
            post: Script::new(include_str!("post.lua")),
            read: Script::new(include_str!("read.lua")),
        })))
    }

    /// Puts a process's report in the place of its earlier one.
    pub async fn post(&self, report: &Report) -> Result<(), NoticeboardError> {
        match self {
            Self::Redis(board) => {
                let mine = Some((Instant::now(), report.clone()));
                *board.mine.lock().unwrap_or_else(PoisonError::into_inner) = mine;
                let text = serde_json::to_string(report)?;
                let mut connection = board.pool.get().await?;
                let mut script = board.post.prepare_invoke();
                script.key(&board.seen).key(&board.reports).arg(&report.id).arg(text);
                script.arg(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
                Ok(script.invoke_async(&mut connection).await?)
            }
            Self::Local(reports) => {
                let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                reports.insert(report.id.clone(), (Instant::now(), report.clone()));
                Ok(())
            }
        }
    }

    /// This process's own report: all that can be had while Redis is away.
    pub fn mine(&self) -> Option<(Instant, Report)> {
        match self {
            Self::Redis(board) => board.mine.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Local(_) => None,
        }
    }

    /// All reports, each with its age. One that can't be read, of another version, is left out.
    pub async fn read(&self) -> Result<Vec<(Duration, Report)>, NoticeboardError> {
        match self {
            Self::Redis(board) => {
                let mut connection = board.pool.get().await?;
                let mut script = board.read.prepare_invoke();
                script.key(&board.seen).key(&board.reports);
                let rows: Vec<(u64, String)> = script.invoke_async(&mut connection).await?;
                let readable = |(age, text): (u64, String)| match serde_json::from_str(&text) {
                    Ok(report) => Some((Duration::from_millis(age), report)),
                    Err(error) => {
                        tracing::debug!(%error, "a report can't be read");
                        None
                    }
                };
                Ok(rows.into_iter().filter_map(readable).collect())
            }
            Self::Local(reports) => {
                let reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(reports.values().map(|(at, report)| (at.elapsed(), report.clone())).collect())
            }
        }
    }
}

impl std::fmt::Debug for Noticeboard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Redis(_) => "Noticeboard(Redis)",
            Self::Local(_) => "Noticeboard(local)",
        })
    }
}

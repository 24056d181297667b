//! The end of a process: the first SIGTERM or SIGINT ends it gracefully within [`DEADLINE`], the
//! second at once. A process that serves goes on with it for a while before, so that proxies and
//! clients learn of the end.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A graceful end takes no longer than this, all in all, after the time to drain.
pub const DEADLINE: Duration = Duration::from_secs(9);
/// Requests under way get this much of it.
pub const REQUESTS_DEADLINE_S: u64 = 4;
/// What runs in the background gets this much of it, after the requests.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// The end of a process, as its command sees it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled at the first signal.
    pub signalled: CancellationToken,
    drain: Arc<OnceLock<Duration>>,
}

impl Shutdown {
    /// A token that is cancelled when the process stops to serve: so long after the first signal.
    pub fn after(&self, drain: Duration) -> CancellationToken {
        // A process drains once.
        let drain = *self.drain.get_or_init(|| drain);
        if drain.is_zero() {
            return self.signalled.clone();
        }
        let (signalled, drained) = (self.signalled.clone(), CancellationToken::new());
        let over = drained.clone();
        tokio::spawn(async move {
            signalled.cancelled().await;
            let seconds = drain.as_secs_f32();
            tracing::info!("not ready any more; serving for {seconds:.1} s, until proxies know it");
            tokio::time::sleep(drain).await;
            over.cancel();
        });
        drained
    }

    fn deadline(&self) -> Duration {
        DEADLINE + self.drain.get().copied().unwrap_or_default()
    }
}

/// Runs a command. Fails if it takes longer than [`DEADLINE`] from the first signal on, besides the
/// time to drain, or if a second signal arrives.
pub async fn graceful<Ended, Running>(command: impl FnOnce(Shutdown) -> Running) -> anyhow::Result<Ended>
where
    Running: Future<Output = anyhow::Result<Ended>>,
{
    let shutdown = Shutdown::default();
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let running = command(shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        name = signalled() => tracing::info!("{name}: finishing what is under way"),
    }
    shutdown.signalled.cancel();
    let deadline = shutdown.deadline();
    tokio::select! {
        ended = &mut running => ended,
        name = signalled() => bail!("{name} again: ended without finishing what was under way"),
        () = tokio::time::sleep(deadline) => {
            bail!("ended after {} s without finishing what was under way", deadline.as_secs())
        }
    }
}

/// Waits for a task to end, for as long as is reasonable while ending.
pub async fn finish(what: &str, task: impl Future) {
    if tokio::time::timeout(TASKS_DEADLINE, task).await.is_err() {
        tracing::warn!("{what} did not finish in time");
    }
}

//! The end of a process: the first SIGTERM or SIGINT ends it gracefully within [`DEADLINE`], the
//! second at once.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A graceful end takes no longer than this, all in all.
pub const DEADLINE: Duration = Duration::from_secs(9);
/// Requests under way get this much of it.
pub const REQUESTS_DEADLINE_S: u64 = 4;
/// What runs in the background gets this much of it, after the requests.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// Runs a command, with the token that is cancelled at the first signal. Fails if the command takes
/// longer than [`DEADLINE`] from then on, or a second signal arrives.
pub async fn graceful<Ended, Running>(
    command: impl FnOnce(CancellationToken) -> Running,
) -> anyhow::Result<Ended>
where
    Running: Future<Output = anyhow::Result<Ended>>,
{
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let running = command(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        name = signalled() => tracing::info!("{name}: finishing what is under way"),
    }
    stop.cancel();
    tokio::select! {
        ended = &mut running => ended,
        name = signalled() => bail!("{name} again: ended without finishing what was under way"),
        () = tokio::time::sleep(DEADLINE) => {
            bail!("ended after {DEADLINE:?} without finishing what was under way")
        }
    }
}

/// Waits for a task to end, for as long as is reasonable while ending.
pub async fn finish(what: &str, task: impl Future) {
    if tokio::time::timeout(TASKS_DEADLINE, task).await.is_err() {
        tracing::warn!("{what} did not finish in time");
    }
}

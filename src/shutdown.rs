//! The end of a process: SIGTERM and SIGINT both end it gracefully, within [`DEADLINE`].

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A graceful end takes no longer than this, all in all.
pub const DEADLINE: Duration = Duration::from_secs(9);
/// Requests under way get this much of it.
pub const REQUESTS_DEADLINE_S: u64 = 5;

/// A token that is cancelled at the first SIGTERM or SIGINT.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name}: finishing what is under way");
        token.cancel();
    });
    Ok(stop)
}

/// Waits for a task to end, for as long as is reasonable while ending.
pub async fn finish(what: &str, task: impl Future) {
    if tokio::time::timeout(Duration::from_secs(3), task).await.is_err() {
        tracing::warn!("{what} did not finish in time");
    }
}

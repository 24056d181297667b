//! Runs the servers of a process until it is told to stop.

use anyhow::bail;
use futures_util::future::{join, join_all, try_join_all};
use tokio_util::sync::CancellationToken;

use super::server::Listening;
use crate::runtime::tasks::Tasks;

/// Runs `servers` beside `work` until `stop`, or until a server, `work` or one of `tasks` fails.
/// Then requests under way are finished. `servers` may be empty.
pub async fn run(
    servers: Vec<Listening>,
    work: impl Future<Output = anyhow::Result<()>>,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let handles: Vec<_> = servers.iter().map(|listening| listening.handle.clone()).collect();
    let serving = try_join_all(servers.into_iter().map(|listening| listening.server));
    tokio::pin!(serving);
    let has_servers = !handles.is_empty();
    let running = async {
        work.await?;
        stop.cancelled().await;
        anyhow::Ok(())
    };
    let ended = tokio::select! {
        ended = &mut serving, if has_servers => {
            ended?;
            bail!("a server ended before its time");
        }
        ended = running => ended,
        failure = tasks.failed() => Err(failure.into()),
    };
    if has_servers {
        // A server stops only while it is polled.
        let stopping = join_all(handles.iter().map(|handle| handle.stop(true)));
        join(stopping, serving).await.1?;
    }
    ended
}

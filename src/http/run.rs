//! Runs the servers of a process until it is told to stop.

use anyhow::{Context, anyhow};
use futures_util::{
    StreamExt,
    future::{join, join_all},
    stream::FuturesUnordered,
};
use tokio_util::sync::CancellationToken;

use super::server::Listening;
use crate::runtime::tasks::Tasks;

/// Runs `servers` beside `work` until `stop`, or until a server ends, or `work` or one of `tasks`
/// fails. Then requests under way are finished. `servers` may be empty.
pub async fn run(
    servers: Vec<Listening>,
    work: impl Future<Output = anyhow::Result<()>>,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let handles: Vec<_> = servers.iter().map(|listening| listening.handle.clone()).collect();
    let serving = servers.into_iter().map(|Listening { name, server, .. }| async move {
        server.await.with_context(|| format!("the server of the {name}")).map(|()| name)
    });
    let mut serving: FuturesUnordered<_> = serving.collect();
    let running = async {
        work.await?;
        stop.cancelled().await;
        anyhow::Ok(())
    };
    let ended = tokio::select! {
        Some(ended) = serving.next() => {
            ended.and_then(|name| Err(anyhow!("the server of the {name} ended before its time")))
        }
        ended = running => ended,
        failure = tasks.failed() => Err(failure.into()),
    };
    // A server stops only while it is polled.
    let stopping = join_all(handles.iter().map(|handle| handle.stop(true)));
    let (_, finished) = join(stopping, serving.collect::<Vec<_>>()).await;
    ended?;
    finished.into_iter().try_for_each(|ended| ended.map(drop))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpStream, time::timeout};

    use super::*;
    use crate::http::{
        CorsOrigins,
        server::{ServerOptions, listen},
    };

    const DEADLINE: Duration = Duration::from_secs(20);

    fn server(name: &'static str) -> Listening {
        let options = ServerOptions {
            addr: ([127, 0, 0, 1], 0).into(),
            connections_max: 10,
            head_timeout: Duration::from_secs(5),
            cors_origins: CorsOrigins::default(),
            stopping: CancellationToken::new(),
        };
        listen(name, &options, |_config| {}).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_a_failure_and_ends_the_others() {
        let servers = vec![server("API"), server("shop"), server("console")];
        let (handle, other) = (servers[1].handle.clone(), servers[0].addr);
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let running = run(servers, async { Ok(()) }, &tasks, &stop);
        let ending = async {
            TcpStream::connect(other).await.unwrap();
            handle.stop(false).await;
        };
        let (ended, ()) = timeout(DEADLINE, join(running, ending)).await.unwrap();
        assert_eq!(ended.unwrap_err().to_string(), "the server of the shop ended before its time");
        assert!(TcpStream::connect(other).await.is_err(), "the other server goes on");
    }

    #[tokio::test]
    async fn an_end_after_the_stop_is_no_failure_with_servers_and_without() {
        for servers in [vec![server("API"), server("shop")], Vec::new()] {
            let (tasks, stop) = (Tasks::default(), CancellationToken::new());
            let running = run(servers, async { Ok(()) }, &tasks, &stop);
            let (ended, ()) = timeout(DEADLINE, join(running, async { stop.cancel() })).await.unwrap();
            assert!(ended.is_ok(), "{ended:?}");
        }
    }
}

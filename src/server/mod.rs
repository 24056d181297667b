//! The HTTP server of API, pages and worker health, with every bound set.

mod unread;

use std::{net::SocketAddr, sync::Once, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    middleware::from_fn,
    web::ServiceConfig,
};
use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::shutdown::REQUESTS_DEADLINE_S;

/// Connections that wait in the kernel's queue while a stampede is accepted.
const BACKLOG: u32 = 8192;

/// Bounds of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Connections at a time, over all threads.
    pub connections_max: usize,
    /// For the head of a request.
    pub head_timeout: Duration,
}

/// A server that listens; it ends when told by its handle.
pub struct Listening {
    /// To be awaited.
    pub server: Server,
    /// To stop it: requests under way are finished.
    pub handle: ServerHandle,
    /// Where it listens; the port is known also where 0 was asked for.
    pub addr: SocketAddr,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Listening({})", self.addr)
    }
}

/// Lets this process have so many open connections, as far as the system allows.
fn allow_connections(connections_max: usize) {
    // For files, the services, and what the runtime needs.
    let wanted = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(256);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised =
        Rlimit { current: limit.maximum.map_or(Some(wanted), |most| Some(wanted.min(most))), ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
    if let Some(current) = raised.current.filter(|current| *current < wanted) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            tracing::info!(
                "at most {current} connections at a time, by the system's limit of open files (ulimit -Hn)"
            );
        });
    }
}

/// Binds and starts a server whose `name` shows in logs.
pub fn listen(
    name: &'static str,
    options: &ServerOptions,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> anyhow::Result<Listening> {
    allow_connections(options.connections_max);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server =
        HttpServer::new(move || App::new().wrap(from_fn(unread::end_with_unread)).configure(&routes))
            .workers(workers)
            .backlog(BACKLOG)
            .max_connections((options.connections_max / workers).max(1))
            .client_request_timeout(options.head_timeout)
            .client_disconnect_timeout(Duration::from_secs(1))
            .keep_alive(Duration::from_secs(75))
            .shutdown_timeout(REQUESTS_DEADLINE_S)
            // SIGINT would be a forced stop; both signals are ours.
            .disable_signals()
            .bind(options.addr)
            .with_context(|| format!("{name} can't listen on {}", options.addr))?;
    let addr = server.addrs().first().copied().unwrap_or(options.addr);
    let server = server.run();
    tracing::info!("{name} listening on http://{addr}");
    Ok(Listening { handle: server.handle(), server, addr })
}

//! The HTTP server of API, pages and worker health, with every bound set.

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpServer, Route,
    dev::{Server, ServerHandle},
    guard,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use anyhow::Context;

use super::unread;
use crate::runtime::open_files::allow_open_files;
use crate::runtime::shutdown::REQUESTS_DEADLINE_S;

/// Connections that wait in the kernel's queue while a stampede is accepted.
const BACKLOG: u32 = 8192;

/// A route of GET, and of HEAD, which has the same answer without its body.
pub fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

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

/// Binds and starts a server whose `name` shows in logs.
pub fn listen(
    name: &'static str,
    options: &ServerOptions,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> anyhow::Result<Listening> {
    // For files, the services, and what the runtime needs.
    let wanted = u64::try_from(options.connections_max).unwrap_or(u64::MAX).saturating_add(256);
    allow_open_files(wanted);
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

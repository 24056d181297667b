//! A listening HTTP server of any face, with every limit set.

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web::ServiceConfig,
};
use anyhow::Context;

use super::unread;
use crate::runtime::{open_files::allow_open_files, shutdown::REQUESTS_DEADLINE_S};

/// Length of the kernel's accept queue.
const BACKLOG: u32 = 8192;
/// Descriptors besides those of clients: files, connections to services, what the runtime needs.
const OTHER_DESCRIPTORS: u64 = 256;

/// Limits of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub addr: SocketAddr,
    /// Connections at a time, over all threads.
    pub connections_max: usize,
    /// Timeout for the head of the first request of a connection.
    pub head_timeout: Duration,
}

/// A server that listens. It stops, after requests under way, when its handle says so.
pub struct Listening {
    pub server: Server,
    pub handle: ServerHandle,
    /// With the port that was given by the system if 0 was configured.
    pub addr: SocketAddr,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Listening({})", self.addr)
    }
}

/// Binds and starts a server; `name` is what logs call it. `routes` is called once for each thread.
pub fn listen(
    name: &'static str,
    options: &ServerOptions,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> anyhow::Result<Listening> {
    let connections = u64::try_from(options.connections_max).unwrap_or(u64::MAX);
    allow_open_files(connections.saturating_add(OTHER_DESCRIPTORS));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server = HttpServer::new(move || {
        // What belongs to a buyer or changes with the sale is kept by no cache; assets say
        // otherwise themselves.
        let no_store = DefaultHeaders::new().add((header::CACHE_CONTROL, "no-store"));
        App::new().wrap(from_fn(unread::close_if_unread)).wrap(no_store).configure(&routes)
    })
    .workers(threads)
    .backlog(BACKLOG)
    .max_connections((options.connections_max / threads).max(1))
    .client_request_timeout(options.head_timeout)
    .client_disconnect_timeout(Duration::from_secs(1))
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(REQUESTS_DEADLINE_S)
    // actix would take SIGINT as a forced stop; `runtime::shutdown` handles both signals.
    .disable_signals()
    .bind(options.addr)
    .with_context(|| format!("{name} can't listen on {}", options.addr))?;
    let addr = server.addrs().first().copied().unwrap_or(options.addr);
    let server = server.run();
    tracing::info!("{name} listening on http://{addr}");
    Ok(Listening { handle: server.handle(), server, addr })
}

//! A listening HTTP server of any face, with every limit set.

use std::{
    future::ready,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::{
    App,
    dev::{AppConfig, Server, ServerHandle, Service, fn_service},
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web::ServiceConfig,
};
use anyhow::Context;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Connection, Progress},
    last_answer::close_after_last,
    security::cors::{CorsOrigins, with_cors},
    unread,
};
use crate::runtime::shutdown::REQUESTS_DEADLINE_S;

/// Length of the kernel's accept queue.
const BACKLOG: i32 = 8192;

/// Limits of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub addr: SocketAddr,
    /// Connections at a time, over all threads; see [`ConnectionBudget`](super::ConnectionBudget).
    pub connections_max: usize,
    /// Timeout for the head of each request, and for the whole of one that arrives
    /// while another is answered.
    pub head_timeout: Duration,
    /// Whose pages may call this server.
    pub cors_origins: CorsOrigins,
    /// Once it is cancelled, every answer says that its connection ends: the client opens the next
    /// one, by a proxy to another process.
    pub stopping: CancellationToken,
}

/// A server that listens. It stops, after requests under way, when its handle says so.
pub struct Listening {
    /// What logs call it.
    pub name: &'static str,
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

/// Threads of a server, each with its share of the connections.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The address at which this machine reaches a server that listens there.
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    let host = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(host, addr.port())
}

/// Binds and starts a server; `name` is what logs call it. `routes` is called once for each thread.
pub fn listen(
    name: &'static str,
    options: &ServerOptions,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> anyhow::Result<Listening> {
    let listener = bind(options.addr).with_context(|| format!("{name} can't listen on {}", options.addr))?;
    let addr = listener.local_addr()?;
    let builder = Server::build()
        .workers(threads())
        .max_concurrent_connections((options.connections_max / threads()).max(1))
        .shutdown_timeout(REQUESTS_DEADLINE_S)
        // actix would take SIGINT as a forced stop; `runtime::shutdown` handles both signals.
        .disable_signals();
    let (graceful, head_timeout) = (builder.graceful_shutdown_signal(), options.head_timeout);
    let (cors_origins, stopping) = (options.cors_origins.clone(), options.stopping.clone());
    // As actix_web::HttpServer does, which takes no other connections than its own.
    let server = builder.listen(name, listener, move || {
        let (routes, cors_origins) = (routes.clone(), cors_origins.clone());
        let (graceful, stopping) = (graceful.clone(), stopping.clone());
        // What belongs to a buyer or changes with the sale is kept by no cache; assets say
        // otherwise themselves.
        let no_store = DefaultHeaders::new().add((header::CACHE_CONTROL, "no-store"));
        let app = App::new()
            .wrap_fn(move |request, service| with_cors(&cors_origins, request, service))
            .wrap(from_fn(unread::close_if_unread))
            .wrap(no_store)
            .wrap_fn(move |request, service| {
                let is_stopping = stopping.is_cancelled();
                let progress = request.conn_data::<Progress>().cloned();
                progress.iter().for_each(Progress::began);
                let answering = service.call(request);
                async move {
                    let mut answer = answering.await;
                    if let Ok(answer) = &mut answer {
                        close_after_last(answer, is_stopping);
                    }
                    progress.iter().for_each(Progress::answered);
                    answer
                }
            })
            .configure(routes)
            .into_factory()
            .map_err(|error: actix_web::Error| error.as_response_error().error_response());
        let service = HttpService::build()
            .graceful_shutdown_signal(move || {
                let graceful = graceful.clone();
                async move { graceful.notified().await }
            })
            .keep_alive(Duration::from_secs(75))
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(Duration::from_secs(1))
            .local_addr(addr)
            .on_connect_ext(|connection: &Connection, data| drop(data.insert(connection.progress())))
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok((Connection::new(stream, head_timeout), Protocol::Http1, peer)))
        })
        .and_then(service)
    })?;
    let server = server.run();
    tracing::info!("{name} listening on http://{addr}");
    Ok(Listening { name, handle: server.handle(), server, addr })
}

fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

//! The Host header check, and whether a client is on this machine.

use std::net::IpAddr;

use actix_web::{
    Error, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
};

use crate::http::problem::Problem;

/// App data of a server with [`check_host`]: the host name under which it is reached, besides
/// addresses and `localhost`. May be empty.
#[derive(Clone, Debug)]
pub(crate) struct KnownHost {
    pub(crate) name: String,
    /// The setting that holds the name, for the message of a refusal.
    pub(crate) setting: &'static str,
}

/// Middleware against DNS rebinding: refuses a request for a host name that is not known. Otherwise
/// a page of another site whose name resolves to this machine could read this server through an
/// operator's browser.
pub(crate) async fn check_host(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let known = request.app_data::<KnownHost>();
    let is = |name: &str, known: &str| !known.is_empty() && name.eq_ignore_ascii_case(known);
    let is_known = |name: &str| {
        name.parse::<IpAddr>().is_ok()
            || is(name, "localhost")
            || known.is_some_and(|known| is(name, &known.name))
    };
    if host(request.request()).is_some_and(is_known) {
        return next.call(request).await;
    }
    let setting = known.map_or("", |known| known.setting);
    Ok(request.error_response(Problem::UnknownHost { setting }))
}

/// The host of a request, without port and brackets.
pub(crate) fn host(request: &HttpRequest) -> Option<&str> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next();
    }
    host.split(':').next()
}

/// Whether the client connects from this machine, to a loopback name, and without a proxy.
pub(crate) fn is_local(request: &HttpRequest) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let name = host(request).is_some_and(|host| host == "localhost" || host.parse().is_ok_and(is_loopback));
    let from_loopback = request.peer_addr().is_some_and(|peer| is_loopback(peer.ip()));
    from_loopback && name && !is_proxied(request)
}

/// Whether a proxy has sent the request, and says so.
pub(crate) fn is_proxied(request: &HttpRequest) -> bool {
    const PROXY_HEADERS: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    PROXY_HEADERS.iter().any(|name| request.headers().contains_key(*name))
}

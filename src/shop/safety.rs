//! Headers on every page, and the checks that a form comes from one of our own, and a request by a name that is ours.

use std::net::IpAddr;

use actix_web::{
    Error, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::pages;

/// Nothing inline, nothing from elsewhere but pictures, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The middleware.
pub(crate) async fn headers(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Whether a form was sent by a page of this server. Browsers say where a form comes from; a program that says nothing
/// carries nobody's cookies either.
pub(crate) fn is_our_own(request: &HttpRequest) -> bool {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = header(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = header(header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == header(header::HOST)
}

/// The name under which the operations console is reached where it is not by an address or `localhost`. Empty: none.
#[derive(Clone, Debug)]
pub struct ConsoleHost(pub String);

/// Refuses whoever comes by a name that is not ours. Otherwise a page from elsewhere, whose name suddenly means this
/// machine, could read in an operator's browser what only this machine may.
pub(crate) async fn known_host(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let known = request.app_data::<Data<ConsoleHost>>();
    let known = known.map_or("", |known| known.0.as_str()).to_owned();
    let host = host(request.request()).map(str::to_owned);
    let is_known = |name: &str, known: &str| !known.is_empty() && name.eq_ignore_ascii_case(known);
    let is_ours = |name: &String| {
        name.parse::<IpAddr>().is_ok() || is_known(name, "localhost") || is_known(name, &known)
    };
    if host.as_ref().is_some_and(is_ours) {
        return next.call(request).await;
    }
    let why = "This name is not known here: set FLASHSALE_CONSOLE_HOST to it.";
    let page = pages::refused(StatusCode::MISDIRECTED_REQUEST, &why);
    Ok(request.into_response(page))
}

/// The name or address that a request is for, without the port and brackets.
fn host(request: &HttpRequest) -> Option<&str> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next();
    }
    host.split(':').next()
}

/// Whether somebody at this machine asks, and by no proxy.
pub(crate) fn is_at_this_machine(request: &HttpRequest) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let by_proxy = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    let peer = request.peer_addr().is_some_and(|peer| is_loopback(peer.ip()));
    let name = host(request).is_some_and(|host| host == "localhost" || host.parse().is_ok_and(is_loopback));
    peer && name && !by_proxy.iter().any(|name| request.headers().contains_key(*name))
}

//! The way from the console to the shop, which has another address.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use actix_web::HttpRequest;

use crate::http::security::host::host;

/// Where the shop of this process is, once it listens. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ShopLink {
    public: Option<String>,
    addr: Arc<OnceLock<SocketAddr>>,
}

impl ShopLink {
    /// `public`: the address that buyers see, if one is configured.
    pub fn new(public: Option<String>) -> Self {
        Self { public, addr: Arc::default() }
    }

    pub fn set_addr(&self, addr: SocketAddr) {
        // The shop listens once.
        let _ = self.addr.set(addr);
    }

    /// For the client of a request. A shop that listens on every address is reached by the name by
    /// which the client has reached the console.
    pub(super) fn url(&self, request: &HttpRequest) -> Option<String> {
        if self.public.is_some() {
            return self.public.clone();
        }
        let addr = self.addr.get()?;
        if !addr.ip().is_unspecified() {
            return Some(format!("http://{addr}/"));
        }
        let (name, port) = (host(request)?, addr.port());
        Some(match name.parse::<IpAddr>() {
            Ok(ip) => format!("http://{}/", SocketAddr::new(ip, port)),
            Err(_) => format!("http://{name}:{port}/"),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_shop_is_reached_as_the_console_is() {
        let url = |listens: &str, host: &str| {
            let link = ShopLink::default();
            link.set_addr(listens.parse().unwrap());
            link.url(&TestRequest::default().insert_header(("host", host)).to_http_request())
        };
        for (listens, host, expected) in [
            ("127.0.0.1:3000", "localhost:3003", "http://127.0.0.1:3000/"),
            ("0.0.0.0:3000", "localhost:3003", "http://localhost:3000/"),
            ("0.0.0.0:3000", "10.0.0.7:3003", "http://10.0.0.7:3000/"),
            ("[::]:3000", "[::1]:3003", "http://[::1]:3000/"),
        ] {
            assert_eq!(url(listens, host).as_deref(), Some(expected));
        }
        let request = TestRequest::default().to_http_request();
        assert_eq!(ShopLink::default().url(&request), None);
        let public = Some("https://shop.example/drop/".to_owned());
        assert_eq!(ShopLink::new(public.clone()).url(&request), public);
    }
}

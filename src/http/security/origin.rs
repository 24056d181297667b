//! Origins of pages, and the CSRF protection of forms.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};
use url::Url;

use crate::http::problem::Problem;

/// Scheme, host and port of a page (RFC 6454). A default port is left out, so that origins with and
/// without it are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// `None`: no origin of a page, or more than an origin.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        Self::of(&url).filter(|_| is_alone)
    }

    /// `None`: not the URL of a page, or with a user.
    pub fn of(url: &Url) -> Option<Self> {
        let is_page = ["http", "https"].contains(&url.scheme()) && url.has_host();
        let has_user = !url.username().is_empty() || url.password().is_some();
        (is_page && !has_user).then(|| Self(url.origin().ascii_serialization()))
    }

    /// Whether a `Host` header names it. A scheme is not part of one.
    fn is_named_by(&self, host: &str) -> bool {
        let scheme = self.0.split("://").next().unwrap_or_default();
        Self::parse(&format!("{scheme}://{host}")).as_ref() == Some(self)
    }
}

/// Refuses a form that a page of another site has sent. A page of an origin in `own` is this
/// site's. Otherwise `Sec-Fetch-Site` tells, which browsers send by TLS and to this machine, or
/// else whether `Host` names the origin, which it does not behind each proxy. A client that sends
/// none of them is no browser, and carries no cookies of one.
pub(crate) fn check_same_origin(request: &HttpRequest, own: &[Origin]) -> Result<(), Problem> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (given, host) = (header(header::ORIGIN), header(header::HOST).unwrap_or_default());
    let origin = given.and_then(Origin::parse);
    if origin.as_ref().is_some_and(|origin| own.contains(origin)) {
        return Ok(());
    }
    let is_own = match (header(HeaderName::from_static("sec-fetch-site")), given) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(_)) => origin.is_some_and(|origin| origin.is_named_by(host)),
        (None, None) => true,
    };
    if is_own {
        return Ok(());
    }
    tell_operator(given.unwrap_or_default(), host);
    Err(Problem::CrossSite)
}

/// Of origins whose forms were refused; the log names each of them once.
const LOGGED_ORIGINS_MAX: usize = 10;
/// Origins are shorter, but for the longest host names.
const LOGGED_CHARS_MAX: usize = 100;

/// Sites that send forms here on purpose must not fill the log. Nine of them do not hide that the
/// shop's own pages are refused.
fn tell_operator(origin: &str, host: &str) {
    static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let short = |text: &str| text.chars().take(LOGGED_CHARS_MAX).collect::<String>();
    let (origin, host) = (short(origin), short(host));
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if is_first(&mut logged, &origin) {
        tracing::warn!(
            "a form was refused: it was sent by a page of \"{origin}\", and this server was asked as \"{host}\". If \
             that page is the shop's, set web.public_url to its address. Later refusals of this origin are not \
             logged, and those of {LOGGED_ORIGINS_MAX} origins at most"
        );
    }
}

fn is_first(logged: &mut BTreeSet<String>, origin: &str) -> bool {
    logged.len() < LOGGED_ORIGINS_MAX && logged.insert(origin.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_origin_is_logged_once_and_ten_of_them() {
        let mut logged = BTreeSet::new();
        let mut lines = |origin: &str| (0..3).filter(|_| is_first(&mut logged, origin)).count();
        assert_eq!((lines("https://bot.example"), lines("https://shop.example")), (1, 1));
        assert_eq!((0..20).map(|number| lines(&number.to_string())).sum::<usize>(), LOGGED_ORIGINS_MAX - 2);
    }

    #[test]
    fn default_ports_are_equal_and_nothing_but_an_origin_is_one() {
        let origin = |text: &str| Origin::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(origin("https://Shop.example:443"), origin("https://shop.example/"));
        assert_eq!(origin("http://shop.example:80"), origin("http://shop.example"));
        assert_ne!(origin("http://shop.example:443"), origin("https://shop.example"));
        assert_ne!(origin("https://shop.example:8443"), origin("https://shop.example"));
        assert_eq!(origin("http://[::1]:80"), origin("http://[::1]"));
        for text in [
            "",
            "null",
            "shop.example",
            "https://",
            "https://shop.example/drop",
            "https://shop.example?",
            "https://user@shop.example",
            "file:///etc",
            "chrome-extension://abc",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_host_header_names_an_origin_with_and_without_the_default_port() {
        for (origin, host, is_named) in [
            ("http://shop.example", "shop.example", true),
            ("http://shop.example", "SHOP.example:80", true),
            ("https://shop.example", "shop.example:443", true),
            ("https://shop.example", "shop.example:80", false),
            ("http://shop.example:8080", "shop.example", false),
            ("http://shop.example", "shop.example.evil.example", false),
            ("http://shop.example", "user@shop.example", false),
            ("http://[::1]:3000", "[::1]:3000", true),
            ("http://shop.example", "", false),
        ] {
            assert_eq!(Origin::parse(origin).unwrap().is_named_by(host), is_named, "{origin} {host}");
        }
    }
}

//! The URL of a service, whose password never reaches a log.

use std::fmt;

use crate::runtime::secrets;

/// Printed without user and password; [`ServiceUrl::expose`] returns the whole URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Hides the URL's password from everything that this process says. The error
    /// says what is allowed.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        Self::parse_with(text, schemes, text)
    }

    /// The same for a URL with several hosts, or with none, for which the query has another place.
    pub fn parse_hosts(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let Some(Parts { before, hosts, after }) = Parts::of(text) else {
            return Self::parse(text, schemes);
        };
        // The parser knows exactly one host.
        let first = hosts.split(',').next().filter(|host| !host.is_empty()).unwrap_or("localhost");
        Self::parse_with(text, schemes, &format!("{before}{first}{after}"))
    }

    fn parse_with(text: &str, schemes: &[&str], one_host: &str) -> Result<Self, String> {
        let allowed = || format!("a URL such as {}://user:password@host/…", schemes.join(":// or "));
        // The parser would drop some of them without a word.
        if text.contains(|character: char| character.is_control() || character.is_whitespace()) {
            return Err(format!("{}, without white space and control characters", allowed()));
        }
        if text.matches("://").count() > 1 {
            return Err(format!("one URL, {}", allowed()));
        }
        let url = url::Url::parse(one_host).map_err(|_unreadable| allowed())?;
        hide_secrets(text, &url);
        if schemes.iter().any(|scheme| url.scheme().strip_suffix('s') == Some(*scheme)) {
            return Err(format!(
                "{}: connections are not encrypted yet, so {}:// can't be used. Connect through a TLS proxy on this \
                 machine, such as stunnel, where the network is not private",
                allowed(),
                url.scheme()
            ));
        }
        let complete = schemes.contains(&url.scheme()) && url.has_host();
        if complete { Ok(Self(text.to_owned())) } else { Err(allowed()) }
    }

    /// False: the setting is empty, or wrong.
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// With the password: for the driver only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The password, in the user part or in the query. One that is the user's name hides nothing.
fn hide_secrets(text: &str, url: &url::Url) {
    if let Some(password) = url.password().filter(|password| *password != url.username()) {
        secrets::hide(password.as_bytes());
        secrets::hide(&percent_decoded(password));
        // As it was written: the parser has escaped what needs it.
        let written = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
        if let Some((_, written)) = written.and_then(|(user_part, _)| user_part.split_once(':')) {
            secrets::hide(written.as_bytes());
        }
    }
    for (name, value) in url.query_pairs() {
        if name.contains("pass") || name.contains("secret") || name.contains("token") {
            secrets::hide(value.as_bytes());
        }
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        let escaped = (*byte == b'%').then(|| after.split_at_checked(2)).flatten();
        let escaped = escaped.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((*byte, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// A URL around its hosts.
struct Parts<'url> {
    /// Scheme, user and password.
    before: &'url str,
    hosts: &'url str,
    /// The path and the query, if there are any.
    after: &'url str,
}

impl<'url> Parts<'url> {
    fn of(url: &'url str) -> Option<Self> {
        let (_scheme, rest) = url.split_once("://")?;
        let (authority, after) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
        let hosts = authority.rsplit('@').next()?;
        let before = url.get(..url.len() - after.len() - hosts.len())?;
        Some(Self { before, hosts, after })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Parts { before, hosts, after }) = Parts::of(&self.0) else { return out.write_str("(none)") };
        let scheme = before.split(':').next().unwrap_or_default();
        let path = after.split(['?', '#']).next().unwrap_or_default();
        write!(out, "{scheme}://{hosts}{path}")
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let text = "postgres://shop:s3cret@db.example:5433/flashsale?password=s3cret";
        let url = ServiceUrl::parse(text, &["postgres"]).unwrap();
        for printed in [url.to_string(), format!("{url:?}")] {
            assert_eq!(printed, "postgres://db.example:5433/flashsale");
        }
        assert_eq!(url.expose(), text);
        let error = ServiceUrl::parse("mysql://shop:s3cret@db/x", &["postgres"]).unwrap_err();
        assert!(!error.contains("s3cret"));
    }

    #[test]
    fn a_url_with_several_hosts_or_none_is_for_who_asks_for_it() {
        for (text, shown) in [
            ("postgres://shop:s3cret-of-hosts@one:1,two:2/x?password=s3cret-too", "postgres://one:1,two:2/x"),
            ("postgres:///x?host=/run/postgresql", "postgres:///x"),
            ("postgres://shop:s3cret-of-hosts@%2Frun/x", "postgres://%2Frun/x"),
        ] {
            let url = ServiceUrl::parse_hosts(text, &["postgres"]).unwrap();
            assert_eq!((url.to_string().as_str(), url.expose()), (shown, text));
            assert_eq!(ServiceUrl::parse(text, &["postgres"]).is_ok(), text.contains("%2F"), "{text}");
        }
        assert_eq!(secrets::scrub("s3cret-of-hosts, s3cret-too"), "[hidden], [hidden]");
    }

    #[test]
    fn a_scheme_that_asks_for_tls_is_refused_by_name() {
        for (text, scheme) in [("rediss://:p@h/0", "redis"), ("amqps://h", "amqp")] {
            let error = ServiceUrl::parse(text, &[scheme]).unwrap_err();
            assert!(
                error.contains("not encrypted yet") && error.contains(&format!("{scheme}s://")),
                "{error}"
            );
        }
    }

    #[test]
    fn one_url_without_white_space_is_taken() {
        for text in [
            "redis://one:6379/0,redis://two:6379/0",
            "redis://one:6379/0 redis://two:6379/0",
            "redis://one:63\t79",
            "redis://one\n",
        ] {
            assert!(ServiceUrl::parse(text, &["redis"]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_driver_says_is_cleaned_of_the_password_in_each_form() {
        for (url, forms) in [
            (
                "amqp://shop:p%40ss%2Fw%C3%B6rd@h/%2f",
                ["p@ss/wörd", "p%40ss%2Fw%C3%B6rd", "user shop:p@ss/wörd@h"],
            ),
            ("postgres://h/x?user=shop&password=que%20ry", ["que ry", "que%20ry", "password=que%20ry"]),
            ("redis://:un^escaped@h", ["un^escaped", "un%5Eescaped", ":un^escaped@h"]),
        ] {
            ServiceUrl::parse(url, &["amqp", "postgres", "redis"]).unwrap();
            for form in forms {
                let scrubbed = secrets::scrub(form).into_owned();
                assert!(scrubbed.contains("[hidden]"), "{form} became {scrubbed}");
            }
        }
    }
}

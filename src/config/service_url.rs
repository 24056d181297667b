//! The URL of a service, whose password never reaches a log.

use std::fmt;

use crate::runtime::secrets;

/// Printed without user and password; [`ServiceUrl::expose`] returns the whole URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Hides the URL's password from everything that this process says. The error says what is
    /// allowed.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let allowed = || format!("a URL such as {}://user:password@host/…", schemes.join(":// or "));
        // The parser would drop some of them without a word.
        if text.contains(|character: char| character.is_control() || character.is_whitespace()) {
            return Err(format!("{}, without white space and control characters", allowed()));
        }
        if text.matches("://").count() > 1 {
            return Err(format!("one URL, {}", allowed()));
        }
        let url = url::Url::parse(text).map_err(|_unreadable| allowed())?;
        hide_secrets(text, &url);
        let complete = schemes.contains(&url.scheme()) && url.has_host();
        if complete { Ok(Self(text.to_owned())) } else { Err(allowed()) }
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

impl fmt::Display for ServiceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(url) = url::Url::parse(&self.0) else { return out.write_str("(none)") };
        write!(out, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(out, ":{port}")?;
        }
        out.write_str(url.path())
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

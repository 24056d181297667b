//! The URL of a service, whose password never reaches a log.

use std::fmt;

/// Printed without user and password; [`ServiceUrl::expose`] returns the whole URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// The error says what is allowed.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let allowed = || format!("a URL such as {}://user:password@host/…", schemes.join(":// or "));
        let url = url::Url::parse(text).map_err(|_unreadable| allowed())?;
        let complete = schemes.contains(&url.scheme()) && url.has_host();
        if complete { Ok(Self(text.to_owned())) } else { Err(allowed()) }
    }

    /// With the password: for the driver only.
    pub fn expose(&self) -> &str {
        &self.0
    }
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
}

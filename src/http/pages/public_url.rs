//! `web.public_url`: where browsers reach the shop, which a process behind a proxy can't know.

use url::Url;

use crate::{http::security::origin::Origin, runtime::secrets::hide};

const EXPECTED: &str = "URLs with http:// or https://, such as \"https://shop.example/drop/\", without user, \
                        query and fragment, with a path of letters, digits and - . _ ~; several must have \
                        the same path";

/// The addresses of a shop. Without one, pages are at the root of whatever host names the shop.
///
/// A proxy removes the path before it passes a request on; here it is written before every address
/// that a page, a redirect or a cookie names.
#[derive(Clone, Debug, Default)]
pub struct PublicUrl {
    /// The first address, without a slash at its end; empty: none is set.
    first: String,
    /// The path of all addresses, without a slash at its end.
    base: String,
    origins: Vec<Origin>,
    is_secure: bool,
}

impl PublicUrl {
    /// The error says what is allowed.
    pub(super) fn parse(texts: &[String]) -> Result<Self, &'static str> {
        let mut public = Self::default();
        for text in texts {
            let (url, origin) = address(text).ok_or(EXPECTED)?;
            let base = url.path().trim_end_matches('/');
            if public.first.is_empty() {
                url.as_str().trim_end_matches('/').clone_into(&mut public.first);
                base.clone_into(&mut public.base);
            }
            if public.base != base {
                return Err(EXPECTED);
            }
            public.is_secure = url.scheme() == "https" && (public.is_secure || public.origins.is_empty());
            public.origins.push(origin);
        }
        Ok(public)
    }

    /// A path of the shop (`/products/p`) as browsers ask for it.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A path of the shop as a URL for other programs; `None`: no address is set.
    pub(crate) fn absolute(&self, path: &str) -> Option<String> {
        (!self.first.is_empty()).then(|| format!("{}{path}", self.first))
    }

    pub(crate) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether browsers reach the shop by TLS alone.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }
}

fn address(text: &str) -> Option<(Url, Origin)> {
    let url = Url::parse(text).ok()?;
    hide(url.password().unwrap_or_default().as_bytes());
    let origin = Origin::of(&url)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    // A link that begins with two slashes would name a host.
    let is_plain = url.path().bytes().all(plain) && !url.path().contains("//");
    (is_plain && url.query().is_none() && url.fragment().is_none()).then_some((url, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(texts: &[&str]) -> Result<PublicUrl, &'static str> {
        PublicUrl::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_path_is_written_before_every_address() {
        for text in ["https://shop.example/drop/", "https://shop.example:443/drop"] {
            let public = public(&[text]).unwrap();
            assert_eq!(public.href("/products/p"), "/drop/products/p");
            assert_eq!(public.absolute("/").as_deref(), Some("https://shop.example/drop/"));
            assert!(public.is_secure());
        }
        let none = public(&[]).unwrap();
        assert_eq!((none.href("/"), none.absolute("/"), none.is_secure()), ("/".to_owned(), None, false));
    }

    #[test]
    fn several_addresses_have_one_path_and_are_secure_together() {
        let both = public(&["https://a.example", "https://b.example:8443/"]).unwrap();
        assert!(both.is_secure() && both.origins().len() == 2);
        assert_eq!(both.absolute("/x").as_deref(), Some("https://a.example/x"));
        for mixed in [["http://a.example", "https://a.example"], ["https://a.example", "http://a.example"]] {
            assert!(!public(&mixed).unwrap().is_secure(), "{mixed:?}");
        }
        for wrong in [
            &["https://a.example/x", "https://b.example/y"][..],
            &["shop.example"],
            &["/drop"],
            &["ftp://shop.example"],
            &["https://shop.example/?x"],
            &["https://user:s3cret@shop.example"],
            &["https://shop.example//evil.example"],
            &["https://shop.example/a;b"],
        ] {
            assert!(public(wrong).is_err(), "{wrong:?}");
        }
    }
}

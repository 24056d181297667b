//! `[shop]` and `web.public_url`: what all pages of a shop have in common.

use std::{fmt, sync::LazyLock};

use actix_web::{HttpRequest, dev::ServiceRequest, web::Data};

use super::{
    asset::{Asset, CSS},
    files,
    public_url::PublicUrl,
    theme::{Colour, stylesheet},
};
use crate::config::Reader;

const NAME_CHARS_MAX: usize = 60;
const THEME: &str = "theme.css";

/// A link at the foot of every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub text: String,
    pub url: String,
}

/// Name, look and addresses of a shop.
#[derive(Clone)]
pub struct Site {
    pub name: String,
    /// URL of a picture; empty: the name alone.
    pub logo: String,
    pub links: Vec<Link>,
    pub public: PublicUrl,
    /// The stylesheet of the accent colour.
    pub(super) theme: Asset,
}

impl fmt::Debug for Site {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Site({:?})", self.name)
    }
}

/// Of pages whose server has no [`Site`].
static PLAIN: LazyLock<Data<Site>> = LazyLock::new(|| {
    let theme = Asset::new(THEME, CSS, String::new());
    let (logo, links, public) = (String::new(), Vec::new(), PublicUrl::default());
    Data::new(Site { name: "flashsale".to_owned(), logo, links, public, theme })
});

impl Site {
    pub fn read(reader: &mut Reader) -> Self {
        let name = reader.checked_text("shop.name", check_name);
        let logo = reader.checked_text("shop.logo", check_logo);
        let accent = reader.checked_text("shop.accent", |text| {
            Colour::parse(text).map(drop).ok_or("a colour such as \"#1d4ed8\"")
        });
        let links = reader.list("shop.links", |texts| {
            texts.iter().map(|text| Link::parse(text)).collect::<Option<Vec<_>>>().ok_or(LINK)
        });
        let css = Colour::parse(&accent).map(stylesheet).unwrap_or_default(); // checked above
        let theme = Asset::new(THEME, CSS, css);
        let public = reader.list("web.public_url", PublicUrl::parse);
        Self { name, logo, links, public, theme }
    }

    /// The site of the server that has got a request.
    pub(super) fn of(request: &ServiceRequest) -> Data<Self> {
        request.app_data::<Data<Self>>().cloned().unwrap_or_else(|| PLAIN.clone())
    }

    pub(super) fn theme_of(request: &HttpRequest) -> Option<&Asset> {
        request.app_data::<Data<Self>>().map(|site| &site.theme)
    }

    pub(crate) fn theme_url(&self) -> String {
        self.href(&self.theme.url())
    }

    /// A path of the shop (`/products/p`) as its pages name it.
    pub(crate) fn href(&self, path: &str) -> String {
        self.public.href(path)
    }

    /// The URL of a picture or another file: one that is compiled in is served by the shop, any
    /// other is where the operator says.
    pub(crate) fn file(&self, url: &str) -> String {
        files::find(url).map_or_else(|| url.to_owned(), |path| self.href(&path))
    }
}

const LINK: &str = "a text and its address each, such as \"Imprint https://shop.example/imprint\"";

impl Link {
    /// A text, a space, and an address.
    fn parse(text: &str) -> Option<Self> {
        let (text, url) = text.trim().rsplit_once(' ')?;
        let is_url = ["https://", "http://", "mailto:", "/"].iter().any(|start| url.starts_with(start));
        (is_url && !text.trim().is_empty())
            .then(|| Self { text: text.trim().to_owned(), url: url.to_owned() })
    }
}

fn check_name(text: &str) -> Result<(), String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= NAME_CHARS_MAX;
    if fits { Ok(()) } else { Err(format!("1 to {NAME_CHARS_MAX} characters")) }
}

fn check_logo(text: &str) -> Result<(), &'static str> {
    // The content security policy of the pages refuses everything else.
    let is_shown = text.is_empty() || text.starts_with("https://") || text.starts_with('/');
    if is_shown { Ok(()) } else { Err("empty, a path such as /assets/icon.svg, or a URL with https://") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_text_and_an_address() {
        let link = Link::parse("Terms of sale https://shop.example/terms").unwrap();
        assert_eq!((link.text.as_str(), link.url.as_str()), ("Terms of sale", "https://shop.example/terms"));
        for text in
            ["", "Imprint", "https://shop.example", " https://shop.example", "Imprint javascript:alert(1)"]
        {
            assert_eq!(Link::parse(text), None, "{text:?}");
        }
    }
}

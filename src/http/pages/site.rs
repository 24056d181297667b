//! `[shop]` and `web.public_url`: what all pages of a shop have in common.

use std::{collections::BTreeSet, fmt, sync::LazyLock};

use actix_web::{HttpRequest, web::Data};

use super::{
    asset::{Asset, CSS},
    files,
    media::{Media, NamedFiles},
    public_url::PublicUrl,
    theme::{Colour, stylesheet},
};
use crate::{config::Reader, domain::Picture};

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
    /// A picture; empty: the name alone.
    logo: String,
    pub links: Vec<Link>,
    pub public: PublicUrl,
    /// The stylesheet of the accent colour.
    pub(super) theme: Asset,
    media: Media,
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
    let (name, media) = ("flashsale".to_owned(), Media::default());
    Data::new(Site { name, logo, links, public, theme, media })
});

impl Site {
    /// `serves_pages`: [`Site::with_pictures`] will follow.
    pub fn read(reader: &mut Reader, serves_pages: bool) -> Self {
        let name = reader.checked_text("shop.name", check_name);
        let media = Media::configure(reader, serves_pages);
        let logo = reader.checked_text("shop.logo", |logo| {
            let file = |name: &str| if serves_pages { NamedFiles::new(&media).check(name) } else { Ok(()) };
            check_picture(logo, file).map_err(|reason| format!("a picture that pages can show ({reason})"))
        });
        let accent = reader.checked_text("shop.accent", |text| {
            Colour::parse(text).map(drop).ok_or("a colour such as \"#1d4ed8\"")
        });
        let links = reader.list("shop.links", |texts| {
            texts.iter().map(|text| Link::parse(text)).collect::<Option<Vec<_>>>().ok_or(LINK)
        });
        let css = Colour::parse(&accent).map(stylesheet).unwrap_or_default(); // checked above
        let theme = Asset::new(THEME, CSS, css);
        let public = reader.list("web.public_url", PublicUrl::parse);
        Self { name, logo, links, public, theme, media }
    }

    /// The site of the server that has got a request.
    pub(super) fn of(request: &HttpRequest) -> Data<Self> {
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

    /// The URL of a file that is compiled in.
    pub(crate) fn file(&self, path: &str) -> String {
        self.href(&files::url(path))
    }

    /// Checks the pictures of a catalogue, which are read together with the logo.
    pub fn named_pictures(&self) -> NamedPictures<'_> {
        let files = NamedFiles::new(&self.media);
        if let Some(logo) = named_file(&self.logo) {
            // Where pages are served, an error of the logo is that of its own setting.
            let _ = files.check(logo);
        }
        NamedPictures(files)
    }

    /// With the files in the folder of pictures, which are read now. `named`: what the catalogue
    /// names is read in any case.
    #[must_use]
    pub fn with_pictures<'name>(&'name self, named: impl IntoIterator<Item = &'name str>) -> Self {
        let named: BTreeSet<_> =
            named.into_iter().chain([self.logo.as_str()]).filter_map(named_file).collect();
        Self { media: self.media.read(&named), ..self.clone() }
    }

    /// `None`: there is none, or none that can be shown.
    pub(crate) fn picture(&self, picture: &str) -> Option<String> {
        match Picture::parse(picture) {
            Ok(Picture::None) => None,
            Ok(Picture::CompiledIn(_)) => Some(self.file(picture)),
            Ok(Picture::Elsewhere(url)) => Some(url.to_owned()),
            Ok(Picture::File(name)) => {
                let file = self.media.find(name);
                let file = file.inspect_err(|reason| self.media.warn_not_shown(name, reason));
                Some(self.href(&file.ok()?.url_below("/media")))
            }
            Err(reason) => {
                self.media.warn_not_shown(picture, &reason.to_string());
                None
            }
        }
    }

    pub(crate) fn logo(&self) -> Option<String> {
        self.picture(&self.logo)
    }

    pub(super) fn picture_file(&self, name: &str) -> Option<&Asset> {
        self.media.find(name).ok()
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

fn named_file(picture: &str) -> Option<&str> {
    match Picture::parse(picture) {
        Ok(Picture::File(name)) => Some(name),
        _ => None,
    }
}

fn check_name(text: &str) -> Result<(), String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= NAME_CHARS_MAX;
    if fits { Ok(()) } else { Err(format!("1 to {NAME_CHARS_MAX} characters")) }
}

/// Checks that pages can show the pictures of a catalogue, one by one and together.
pub struct NamedPictures<'site>(NamedFiles<'site>);

impl NamedPictures<'_> {
    /// Fails, with the reason, if a text names no picture that pages can show.
    pub fn check(&self, picture: &str) -> Result<(), String> {
        check_picture(picture, |name| self.0.check(name))
    }
}

fn check_picture(text: &str, file: impl FnOnce(&str) -> Result<(), String>) -> Result<(), String> {
    match Picture::parse(text).map_err(|error| error.to_string())? {
        Picture::CompiledIn(name) if !files::has_picture(name) => {
            Err("there is no such picture among the files that are compiled in".to_owned())
        }
        Picture::File(name) => file(name),
        Picture::None | Picture::CompiledIn(_) | Picture::Elsewhere(_) => Ok(()),
    }
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

//! How a catalogue names a picture.

use url::Url;

const COMPILED_IN: &str = "/assets/";
const NAME_LEN_MAX: usize = 100;

/// Where a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture<'text> {
    None,
    /// `/assets/NAME`: a file that is compiled in.
    CompiledIn(&'text str),
    /// A file in the folder of one's own pictures.
    File(&'text str),
    /// A URL with `https://`.
    Elsewhere(&'text str),
}

/// Why a text names no picture that a page could show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error(
        "pages do not show pictures over http://: use https://, or put the file into the folder web.media_dir and \
         give its name"
    )]
    Insecure,
    #[error("is no URL with https:// and a host")]
    Url,
    #[error(
        "a path names no picture: give the name of a file in the folder web.media_dir, or a URL with https://"
    )]
    Path,
    #[error(
        "a file's name begins with a letter or digit, and has letters, digits, '.', '-' and '_': rename it"
    )]
    Name,
}

impl<'text> Picture<'text> {
    pub fn parse(text: &'text str) -> Result<Self, PictureError> {
        if text.is_empty() {
            return Ok(Self::None);
        }
        if let Some(name) = text.strip_prefix(COMPILED_IN) {
            return Self::file_name(name).map(Self::CompiledIn);
        }
        match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                let has_host = Url::parse(text).is_ok_and(|url| url.has_host());
                if has_host { Ok(Self::Elsewhere(text)) } else { Err(PictureError::Url) }
            }
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Err(PictureError::Insecure),
            Some(_) => Err(PictureError::Url),
            None => Self::file_name(text).map(Self::File),
        }
    }

    /// Its URL, or its path on the shop.
    pub fn url(self) -> String {
        match self {
            Self::None => String::new(),
            Self::CompiledIn(name) => format!("{COMPILED_IN}{name}"),
            Self::File(name) => format!("/media/{name}"),
            Self::Elsewhere(url) => url.to_owned(),
        }
    }

    fn file_name(text: &str) -> Result<&str, PictureError> {
        if text.contains(['/', '\\']) || text.starts_with('.') {
            return Err(PictureError::Path);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let is_name = starts_well && text.len() <= NAME_LEN_MAX && text.bytes().all(allowed);
        if is_name { Ok(text) } else { Err(PictureError::Name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_could_not_show_is_refused_with_the_reason() {
        for (text, picture) in [
            ("", Picture::None),
            ("lamp.jpg", Picture::File("lamp.jpg")),
            ("/assets/icon.svg", Picture::CompiledIn("icon.svg")),
            ("https://cdn.example/a b.png?x", Picture::Elsewhere("https://cdn.example/a b.png?x")),
        ] {
            assert_eq!(Picture::parse(text), Ok(picture), "{text:?}");
        }
        for (text, error) in [
            ("http://cdn.example/a.png", PictureError::Insecure),
            ("HTTP://cdn.example/a.png", PictureError::Insecure),
            ("ftp://cdn.example/a.png", PictureError::Url),
            ("https://", PictureError::Url),
            ("pictures/lamp.jpg", PictureError::Path),
            ("/srv/pictures/lamp.jpg", PictureError::Path),
            ("../lamp.jpg", PictureError::Path),
            (".hidden.png", PictureError::Path),
            ("/assets/../x", PictureError::Path),
            ("//cdn.example/a.png", PictureError::Path),
            ("desk lamp.jpg", PictureError::Name),
            ("data:image/png;base64,AAAA", PictureError::Path),
            ("lámpara.jpg", PictureError::Name),
        ] {
            assert_eq!(Picture::parse(text), Err(error), "{text:?}");
        }
    }
}

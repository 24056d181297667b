//! The files that are compiled in.

use std::sync::LazyLock;

use super::{
    asset::{Asset, CSS},
    picture_type::SVG,
};

const FILES: &[(&str, &str, &[u8])] = &[
    ("style.css", CSS, include_bytes!("../../../assets/style.css")),
    ("console.css", CSS, include_bytes!("../../../assets/console.css")),
    ("shop.css", CSS, include_bytes!("../../../assets/shop.css")),
    ("times.js", JAVASCRIPT, include_bytes!("../../../assets/times.js")),
    ("feed.js", JAVASCRIPT, include_bytes!("../../../assets/feed.js")),
    ("list.js", JAVASCRIPT, include_bytes!("../../../assets/list.js")),
    ("shop.js", JAVASCRIPT, include_bytes!("../../../assets/shop.js")),
    ("receipt.js", JAVASCRIPT, include_bytes!("../../../assets/receipt.js")),
    ("console.js", JAVASCRIPT, include_bytes!("../../../assets/console.js")),
    ("uplot.js", JAVASCRIPT, include_bytes!("../../../assets/uplot.js")),
    ("uplot.css", CSS, include_bytes!("../../../assets/uplot.css")),
    ("icon.svg", SVG, include_bytes!("../../../assets/icon.svg")),
    ("meridian-one.svg", SVG, include_bytes!("../../../assets/meridian-one.svg")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES.iter().map(|(name, content_type, bytes)| Asset::new(*name, content_type, *bytes)).collect()
});

/// The path, with its hash, of a compiled-in file (`/assets/…`); `None`: there is no such file.
pub(super) fn find(path: &str) -> Option<String> {
    let name = path.strip_prefix("/assets/")?;
    ASSETS.iter().find(|asset| asset.name == name).map(Asset::url)
}

/// The path of a compiled-in file with its hash; any other URL unchanged. For pages that are not
/// below a path; a [`Site`](super::Site) knows it.
pub(crate) fn url(path: &str) -> String {
    find(path).unwrap_or_else(|| path.to_owned())
}

/// Whether a picture with this name is compiled in.
pub(super) fn has_picture(name: &str) -> bool {
    FILES.iter().any(|(file, content_type, _)| *file == name && *content_type == SVG)
}

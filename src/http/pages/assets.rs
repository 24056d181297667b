//! `/assets/…`: compiled-in files, and the theme of the site.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};

use super::{
    asset::{Asset, CSS},
    site::Site,
};
use crate::http::problem::Problem;

const FILES: &[(&str, &str, &[u8])] = &[
    ("style.css", CSS, include_bytes!("../../../assets/style.css")),
    ("shop.css", CSS, include_bytes!("../../../assets/shop.css")),
    ("times.js", JAVASCRIPT, include_bytes!("../../../assets/times.js")),
    ("feed.js", JAVASCRIPT, include_bytes!("../../../assets/feed.js")),
    ("list.js", JAVASCRIPT, include_bytes!("../../../assets/list.js")),
    ("shop.js", JAVASCRIPT, include_bytes!("../../../assets/shop.js")),
    ("receipt.js", JAVASCRIPT, include_bytes!("../../../assets/receipt.js")),
    ("console.js", JAVASCRIPT, include_bytes!("../../../assets/console.js")),
    ("uplot.js", JAVASCRIPT, include_bytes!("../../../assets/uplot.js")),
    ("uplot.css", CSS, include_bytes!("../../../assets/uplot.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../../assets/icon.svg")),
    ("meridian-one.svg", "image/svg+xml", include_bytes!("../../../assets/meridian-one.svg")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES.iter().map(|(name, content_type, bytes)| Asset::new(name, content_type, *bytes)).collect()
});

/// The URL of a compiled-in file (`/assets/…`) with its hash; any other URL unchanged.
pub(crate) fn url(path: &str) -> String {
    let asset = path.strip_prefix("/assets/").and_then(|name| ASSETS.iter().find(|asset| asset.name == name));
    asset.map_or_else(|| path.to_owned(), Asset::url)
}

/// `GET /assets/{name}` and `/assets/{hash}/{name}`
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let part = |name: &str| request.match_info().get(name);
    let named = part("name").unwrap_or_default();
    let asset = ASSETS.iter().chain(Site::theme_of(&request)).find(|asset| asset.name == named);
    let asset = asset.ok_or(Problem::NotFound)?;
    let caching = match part("hash") {
        Some(hash) if hash == asset.hash => "public, max-age=31536000, immutable",
        // A page of another version of this program: it gets the current file, and must not cache
        // it for long.
        _ => "public, max-age=60",
    };
    let etag = format!("\"{}\"", asset.hash);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, caching)).insert_header((header::ETAG, etag.as_str()));
    response.insert_header((header::VARY, "accept-encoding"));
    if lists(request.headers(), header::IF_NONE_MATCH, &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    response.content_type(asset.content_type);
    if !asset.gzip.is_empty() && lists(request.headers(), header::ACCEPT_ENCODING, "gzip") {
        return Ok(response.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.gzip.clone()));
    }
    Ok(response.body(asset.bytes.clone()))
}

fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|item| item.split(';').next().unwrap_or_default().trim() == wanted)
}

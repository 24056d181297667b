//! Compiled-in files. Pages name them with a hash of their content, so that browsers may cache them
//! without limit.

use std::{io::Write, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use flate2::{Compression, write::GzEncoder};
use uuid::Uuid;

use crate::http::problem::Problem;

const FILES: &[(&str, &str, &[u8])] = &[
    ("style.css", "text/css; charset=utf-8", include_bytes!("../../../assets/style.css")),
    ("shop.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/shop.js")),
    ("receipt.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/receipt.js")),
    ("console.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/console.js")),
    ("uplot.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/uplot.js")),
    ("uplot.css", "text/css; charset=utf-8", include_bytes!("../../../assets/uplot.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../../assets/icon.svg")),
    ("meridian-one.svg", "image/svg+xml", include_bytes!("../../../assets/meridian-one.svg")),
];

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    compressed: Vec<u8>,
    hash: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |&(name, content_type, bytes): &(&'static str, &'static str, &'static [u8])| {
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).simple().to_string();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail; if it did, the file would be sent uncompressed.
        let compressed = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        Asset { name, content_type, bytes, compressed, hash: hash.chars().take(16).collect() }
    };
    FILES.iter().map(asset).collect()
});

/// The URL of a compiled-in file (`/assets/…`) with its hash; any other URL unchanged.
pub(crate) fn url(path: &str) -> String {
    let asset = path.strip_prefix("/assets/").and_then(|name| ASSETS.iter().find(|asset| asset.name == name));
    asset.map_or_else(|| path.to_owned(), |asset| format!("/assets/{}/{}", asset.hash, asset.name))
}

/// `GET /assets/{name}` and `/assets/{hash}/{name}`
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let part = |name: &str| request.match_info().get(name);
    let named = part("name").unwrap_or_default();
    let asset = ASSETS.iter().find(|asset| asset.name == named).ok_or(Problem::NotFound)?;
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
    if !asset.compressed.is_empty() && lists(request.headers(), header::ACCEPT_ENCODING, "gzip") {
        return Ok(response.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.compressed.clone()));
    }
    Ok(response.body(asset.bytes))
}

fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|item| item.split(';').next().unwrap_or_default().trim() == wanted)
}

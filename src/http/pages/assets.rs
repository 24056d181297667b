//! `/assets/…`: serves the compiled-in files, and the theme of the site; `/media/…`: pictures of
//! one's own.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
};

use super::{asset::Asset, files::ASSETS, site::Site};
use crate::http::problem::Problem;

/// `GET /assets/{name}` and `/assets/{hash}/{name}`
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let named = request.match_info().get("name").unwrap_or_default();
    let asset = ASSETS.iter().chain(Site::theme_of(&request)).find(|asset| asset.name == named);
    Ok(respond(&request, asset.ok_or(Problem::NotFound)?))
}

/// `GET /media/{name}` and `/media/{hash}/{name}`
pub(super) async fn media(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let named = request.match_info().get("name").unwrap_or_default();
    let site = Site::of(&request);
    let mut response = respond(&request, site.picture_file(named).ok_or(Problem::NotFound)?);
    let policy = HeaderValue::from_static(PICTURE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// An SVG that is opened by itself is a document with scripts: they are not run.
const PICTURE_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";

fn respond(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let caching = match request.match_info().get("hash") {
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
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type(asset.content_type);
    if !asset.gzip.is_empty() && lists(request.headers(), header::ACCEPT_ENCODING, "gzip") {
        return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.gzip.clone());
    }
    response.body(asset.bytes.clone())
}

fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|item| item.split(';').next().unwrap_or_default().trim() == wanted)
}

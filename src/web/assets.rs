//! Files that are compiled in.

use actix_web::{HttpResponse, http::header, web::Path};

const ASSETS: &[(&str, &str, &[u8])] = &[
    ("style.css", "text/css; charset=utf-8", include_bytes!("../../assets/style.css")),
    ("meridian-one.svg", "image/svg+xml", include_bytes!("../../assets/meridian-one.svg")),
];

pub(super) async fn asset(name: Path<String>) -> HttpResponse {
    match ASSETS.iter().find(|(known, ..)| *known == name.as_str()) {
        Some((_, content_type, bytes)) => HttpResponse::Ok()
            .content_type(*content_type)
            .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
            .body(*bytes),
        None => super::pages::not_found().await,
    }
}

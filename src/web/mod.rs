//! The pages, rendered on the server. They sell through the same checkout as the API.

mod assets;
mod pages;

use std::time::Duration;

use actix_web::{
    Route,
    error::InternalError,
    guard,
    http::StatusCode,
    web::{self, QueryConfig, ServiceConfig},
};

use crate::{checkout::Checkout, domain::Catalogue};

/// What the pages use; one for all threads.
#[derive(Clone, Debug)]
pub struct Web {
    /// Sells.
    pub checkout: Checkout,
    /// What is sold.
    pub catalogue: Catalogue,
    /// How long a form may take to arrive.
    pub body_timeout: Duration,
}

/// A route of GET, and of HEAD.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// All pages; they need a [`Web`] as app data.
pub fn routes(config: &mut ServiceConfig) {
    let query = QueryConfig::default().error_handler(|error, _| {
        let page = pages::refused(StatusCode::BAD_REQUEST, &error);
        InternalError::from_response(error, page).into()
    });
    config
        .app_data(query)
        .route("/", read().to(pages::index))
        .route("/products/{product}", read().to(pages::product))
        .route("/products/{product}/buy", web::post().to(pages::buy))
        .route("/products/{product}/purchase", read().to(pages::purchase))
        .route("/assets/{name}", read().to(assets::asset))
        .default_service(web::to(pages::not_found));
}

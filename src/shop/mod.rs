//! The shop, rendered on the server. It sells through the same checkout as the API, and works by forms and page loads;
//! scripts make it live.

pub(crate) mod assets;
mod forms;
mod live;
pub(crate) mod pages;
mod receipt;
pub(crate) mod safety;
pub(crate) mod words;

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    error::InternalError,
    http::StatusCode,
    middleware::from_fn,
    web::{self, QueryConfig, ServiceConfig},
};
use tokio_util::sync::CancellationToken;

use crate::console::pages as console;
use crate::{checkout::Checkout, domain::Catalogue, http::server::read};
pub use live::Live;
pub use safety::ConsoleHost;

/// What the pages use; one for each thread of the server.
#[derive(Clone, Debug)]
pub struct Web {
    /// Sells.
    pub checkout: Checkout,
    /// What is sold.
    pub catalogue: Catalogue,
    /// How long a form may take to arrive.
    pub body_timeout: Duration,
    /// Shared by all threads: who looks at the stores for those who listen.
    pub live: Live,
    /// Where the operations console is served by this process, if it is.
    pub console_addr: Option<SocketAddr>,
    /// Ends those who listen.
    pub stop: CancellationToken,
}

/// The operations console, on a server of its own; it needs a [`crate::console::ControlRoom`] and a [`ConsoleHost`] as app data.
pub fn console_routes(config: &mut ServiceConfig) {
    let pages = web::scope("")
        .wrap(from_fn(safety::known_host))
        .wrap(from_fn(safety::headers))
        .app_data(query())
        .route("/", read().to(|| async { pages::see_other("/console") }))
        .route("/console", read().to(console::page))
        .route("/console/snapshot", read().to(console::snapshot))
        .route("/assets/{name}", read().to(assets::asset))
        .route("/assets/{hash}/{name}", read().to(assets::asset))
        .default_service(web::to(pages::not_found));
    config.service(pages);
}

fn query() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let page = pages::refused(StatusCode::BAD_REQUEST, &error);
        InternalError::from_response(error, page).into()
    })
}

/// All pages; they need a [`Web`] as app data.
pub fn routes(config: &mut ServiceConfig) {
    let pages = web::scope("")
        .wrap(from_fn(safety::headers))
        .app_data(query())
        .route("/", read().to(pages::index))
        .route("/sale/events", read().to(live::events))
        .route("/products/{product}", read().to(pages::product))
        .route("/products/{product}/events", read().to(live::events))
        .route("/products/{product}/buy", web::post().to(forms::buy))
        .route("/products/{product}/purchase", read().to(forms::purchase))
        .route("/purchases/{purchase}", read().to(receipt::receipt))
        .route("/console", read().to(console::elsewhere))
        .route("/console/snapshot", read().to(console::elsewhere))
        .route("/assets/{name}", read().to(assets::asset))
        .route("/assets/{hash}/{name}", read().to(assets::asset))
        .default_service(web::to(pages::not_found));
    config.service(pages);
}

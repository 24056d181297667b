//! The shop: pages that are rendered on the server and work by forms and page loads; scripts add
//! live updates. It sells through the same checkout as the API.

mod buy;
mod console_link;
mod events;
mod index;
mod input;
mod lookup;
mod product;
mod receipt;
mod state;
mod text;
mod updates;
mod visitor;

use actix_web::web::{self, Data, ServiceConfig};

pub use state::Shop;
pub use updates::Updates;

use crate::http::{
    body::BodyTimeout,
    pages::page_routes,
    routing::{get, read},
};

pub fn routes(config: &mut ServiceConfig, shop: Shop) {
    config
        .app_data(Data::new(shop.checkout.clone()))
        .app_data(Data::new(shop.catalogue.clone()))
        .app_data(BodyTimeout(shop.body_timeout))
        .app_data(Data::new(shop));
    let pages = web::scope("")
        .service(get("/", index::index))
        .service(get("/sale/events", events::events))
        .service(get("/products/{product}", product::product))
        .service(get("/products/{product}/events", events::events))
        .route("/products/{product}/buy", web::post().to(buy::buy))
        .service(get("/products/{product}/purchase", lookup::purchase))
        .service(get("/purchases/{purchase}", receipt::receipt))
        .route("/console", read().to(console_link::redirect))
        .route("/console/snapshot", read().to(console_link::redirect));
    config.service(page_routes(pages));
}

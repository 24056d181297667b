//! The shop: pages that are rendered on the server and work by forms and page loads; scripts add
//! live updates. It sells through the same checkout as the API.

mod buy;
mod calendar;
mod console_link;
mod events;
mod index;
mod input;
mod lookup;
mod product;
mod receipt;
mod reply;
mod sale_view;
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
    routing::{get, post, stream},
};

pub fn routes(config: &mut ServiceConfig, shop: Shop) {
    config
        .app_data(Data::new(shop.catalogue.clone()))
        .app_data(shop.site.clone())
        .app_data(BodyTimeout(shop.body_timeout))
        .app_data(Data::new(shop));
    let pages = web::scope("")
        .service(get("/", index::index))
        .service(stream("/sale/events", events::events))
        .service(get("/products/{product}", product::product))
        .service(stream("/products/{product}/events", events::events))
        .service(post("/products/{product}/buy", buy::buy))
        .service(get("/products/{product}/purchase", lookup::purchase))
        .service(get("/products/{product}/calendar.ics", calendar::calendar))
        .service(get("/purchases/{purchase}", receipt::receipt))
        .service(get("/console", console_link::redirect))
        .service(get("/console/snapshot", console_link::redirect));
    config.service(page_routes(pages));
}

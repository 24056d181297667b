//! The JSON API for buyers. Every business outcome is 200; everything else is a problem document.

mod products;
mod purchases;

use std::time::Duration;

use actix_web::web::{self, Data, ServiceConfig};

use crate::{
    checkout::Checkout,
    http::{
        PublicUrl,
        body::BodyTimeout,
        routing::{get, not_found, post},
    },
    stores::LedgerCatalogue,
};

/// What the handlers use; one for each thread of the server.
#[derive(Clone, Debug)]
pub struct Api {
    pub checkout: Checkout,
    pub catalogue: LedgerCatalogue,
    /// Where browsers reach the shop, which serves the pictures.
    pub shop: PublicUrl,
    pub body_timeout: Duration,
}

/// The route table. `/sale` is the first product of the catalogue.
pub fn routes(config: &mut ServiceConfig, api: Api) {
    config
        .app_data(Data::new(api.checkout))
        .app_data(Data::new(api.catalogue))
        .app_data(Data::new(api.shop))
        .app_data(BodyTimeout(api.body_timeout))
        .service(get("/sale/status", products::status))
        .service(get("/sale/stock", products::stock))
        .service(post("/sale/buy", purchases::buy))
        .service(get("/sale/purchase/status", purchases::status))
        .service(get("/products", products::list))
        .service(get("/products/{product}", products::status))
        .service(get("/products/{product}/stock", products::stock))
        .service(post("/products/{product}/buy", purchases::buy))
        .service(get("/products/{product}/purchase", purchases::status))
        .default_service(web::to(not_found));
}

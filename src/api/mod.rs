//! The JSON API. The whole route table is on this screen; DESIGN terms: every business outcome is 200, everything
//! else is a problem document.

mod audit;
mod body;
mod health;
mod problem;
mod products;
mod purchases;

use std::time::Duration;

use actix_web::{
    Resource, Route,
    web::{self, ServiceConfig},
};

pub use audit::audit_routes;
pub use health::health_routes;
pub use problem::Problem;

use crate::{checkout::Checkout, domain::Catalogue, http::server::read};

/// What the handlers use; one for each thread of the server.
#[derive(Clone, Debug)]
pub struct Api {
    /// Sells.
    pub checkout: Checkout,
    /// What is sold.
    pub catalogue: Catalogue,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
}

/// All routes; they need an [`Api`] and a [`crate::observability::readiness::Readiness`] as app data. `/sale` is the first product
/// of the catalogue. Beside them, where they are switched on: [`audit_routes`].
pub fn routes(config: &mut ServiceConfig) {
    config
        .configure(health_routes)
        .service(at("/sale/status", &["GET", "HEAD"], read().to(products::status)))
        .service(at("/sale/stock", &["GET", "HEAD"], read().to(products::stock)))
        .service(at("/sale/buy", &["POST"], web::post().to(purchases::buy)))
        .service(at("/sale/purchase/status", &["GET", "HEAD"], read().to(purchases::status)))
        .service(at("/products", &["GET", "HEAD"], read().to(products::list)))
        .service(at("/products/{product}", &["GET", "HEAD"], read().to(products::status)))
        .service(at("/products/{product}/stock", &["GET", "HEAD"], read().to(products::stock)))
        .service(at("/products/{product}/buy", &["POST"], web::post().to(purchases::buy)))
        .service(at("/products/{product}/purchase", &["GET", "HEAD"], read().to(purchases::status)))
        .default_service(web::to(|| async { Err::<String, _>(Problem::NotFound) }));
}

/// A resource with one route; any other method is 405, with the methods that are allowed.
fn at(path: &str, allowed: &'static [&'static str], route: Route) -> Resource {
    let refuse = move || async move { Err::<String, _>(Problem::MethodNotAllowed { allowed }) };
    web::resource(path).route(route).default_service(web::to(refuse))
}

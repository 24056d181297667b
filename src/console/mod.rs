//! The operations console: the state of the whole system on one page and as JSON. It changes
//! nothing.
//!
//! Every process sends a heartbeat with a report of itself to the process registry once a second. A
//! [`Monitor`] reads all reports, polls the stores, checks the conservation law, and keeps the last
//! minutes.

mod history;
mod merge;
mod monitor;
mod pages;
mod sales;
mod snapshot;
mod verdict;
mod view;

use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

pub use monitor::Monitor;

use crate::http::{
    pages::{page_routes, see_other},
    routing::get,
    security::host::{KnownHost, check_host},
};

/// The route table, for a server of its own. `host_name` is where it is reached besides addresses
/// and `localhost`.
pub fn routes(config: &mut ServiceConfig, monitor: Monitor, host_name: &str) {
    config
        .app_data(Data::new(monitor))
        .app_data(KnownHost { name: host_name.to_owned(), setting: "FLASHSALE_CONSOLE_HOST" });
    let pages = web::scope("")
        .service(get("/", front))
        .service(get("/console", pages::console))
        .service(get("/console/snapshot", pages::snapshot))
        .wrap(from_fn(check_host));
    config.service(page_routes(pages));
}

async fn front() -> HttpResponse {
    see_other("/console")
}

//! The operations console: the state of the whole system on one page and as JSON. It changes
//! nothing. It also gives the evidence of an audit to whoever has its token.
//!
//! Every process sends a heartbeat with a report of itself to the process registry once a second. A
//! [`Monitor`] reads all reports, polls the stores, checks the conservation law, and keeps the last
//! minutes.

mod event_view;
mod evidence;
mod findings;
mod history;
mod merge;
mod monitor;
mod options;
mod pace;
mod pages;
mod phase_events;
mod product_row;
mod sales;
mod shop_link;
mod snapshot;
mod token;
mod verdict;
mod view;

use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

pub use monitor::Monitor;
pub use options::ConsoleOptions;
pub use shop_link::ShopLink;
pub use token::ConsoleToken;

use crate::{
    audit::Sources,
    http::{
        pages::{page_routes, see_other},
        routing::{get, not_found},
        security::host::{KnownHost, check_host},
    },
    stores::LedgerCatalogue,
};

/// What the handlers use.
#[derive(Clone, Debug)]
pub struct Console {
    pub monitor: Monitor,
    /// Where the console is reached besides addresses and `localhost`.
    pub host_name: String,
    pub catalogue: LedgerCatalogue,
    pub sources: Sources,
    pub shop: ShopLink,
    /// `None`: nobody can read the evidence of an audit.
    pub token: Option<ConsoleToken>,
}

/// The route table, for a server of its own.
pub fn routes(config: &mut ServiceConfig, console: Console) {
    config
        .app_data(Data::new(console.monitor))
        .app_data(Data::new(console.catalogue))
        .app_data(Data::new(console.sources))
        .app_data(Data::new(console.shop))
        .app_data(KnownHost { name: console.host_name, setting: "FLASHSALE_CONSOLE_HOST" });
    if let Some(token) = console.token {
        config.app_data(Data::new(token));
    }
    let evidence = web::scope("/audit")
        .service(get("/{product}", evidence::evidence))
        .service(get("/{product}/counts", evidence::counts))
        .default_service(web::to(not_found))
        .wrap(from_fn(check_host));
    config.service(evidence);
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

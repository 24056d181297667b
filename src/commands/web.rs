//! `flashsale web`

use std::net::SocketAddr;

use actix_web::web::Data;
use anyhow::bail;
use clap::Args;
use futures_util::future::join;
use tokio_util::sync::CancellationToken;

use super::settings::{Mode, Settings};
use super::{
    Overrides,
    serve::run_servers,
    stores::{self, Connected},
};
use crate::api;
use crate::checkout::Checkout;
use crate::console::ControlRoom;
use crate::http::server::{Listening, ServerOptions, listen};
use crate::observability::registry::Role;
use crate::outbox::Publisher;
use crate::runtime::shutdown;
use crate::shop::{self, ConsoleHost, Live, Web as Pages};

/// Serve the pages (distributed mode)
///
/// Needs DATABASE_URL, REDIS_URL and AMQP_URL, and at least one `flashsale work`; any number can run side by
/// side. In the embedded mode `flashsale serve` serves the pages itself.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale web --web-addr 0.0.0.0:3000")]
pub(super) struct Web {
    /// Where the pages are served (or FLASHSALE_WEB_ADDR) [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    web_addr: Option<String>,
    /// Where the operations console is served (or FLASHSALE_CONSOLE_ADDR) [default: 127.0.0.1:3003]
    #[arg(long, value_name = "ADDR")]
    console_addr: Option<String>,
}

impl Web {
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> anyhow::Result<()> {
        let own = [("web.addr", self.web_addr.as_ref()), ("console.addr", self.console_addr.as_ref())];
        let settings = overrides.settings(&own)?;
        if matches!(settings.mode, Mode::Embedded { .. }) {
            bail!(
                "no service is configured, so the system runs embedded: `flashsale serve` serves the pages, the \
                 API and the worker in one process. To run `web` by itself set DATABASE_URL, REDIS_URL and \
                 AMQP_URL."
            );
        }
        let connected = stores::connect(&settings, "web").await?;
        let (publisher, task) = Publisher::new(connected.stores.broker.clone(), &connected.runtime);
        let sending = tokio::spawn(task.run());
        let checkout = stores::checkout(&settings, &connected, publisher);
        let servers = listen_pages(&settings, &connected, &checkout, &stop)?;
        drop(checkout);
        let over = stop.child_token();
        let reporting = connected.report(Role::Web, connected.readiness(&settings.catalogue, false), &over);
        let ended = run_servers(servers, async { Ok(()) }, &stop).await;
        over.cancel();
        shutdown::finish("the publisher and the report", join(sending, reporting)).await;
        ended
    }
}

/// The shop, and the operations console on an address of its own, so that nobody who buys can reach it.
pub(super) fn listen_pages(
    settings: &Settings,
    connected: &Connected,
    checkout: &Checkout,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Listening>> {
    // Selling does not depend on it.
    let console = listen_console(settings, connected, stop).unwrap_or_else(|error| {
        tracing::error!("there is no operations console: {error:#} (FLASHSALE_CONSOLE_ADDR)");
        None
    });
    let console_addr = console.as_ref().map(|listening| listening.addr);
    let pages = listen_shop(settings, connected, checkout, console_addr, stop)?;
    Ok(std::iter::once(pages).chain(console).collect())
}

fn listen_shop(
    settings: &Settings,
    connected: &Connected,
    checkout: &Checkout,
    console_addr: Option<SocketAddr>,
    stop: &CancellationToken,
) -> anyhow::Result<Listening> {
    let options = ServerOptions {
        addr: settings.web_addr,
        connections_max: settings.api.connections_max,
        head_timeout: settings.api.head_timeout,
    };
    let pages = Pages {
        checkout: checkout.clone(),
        catalogue: settings.catalogue.clone(),
        body_timeout: settings.api.body_timeout,
        live: Live::default(),
        console_addr,
        stop: stop.clone(),
    };
    let readiness = Data::new(connected.readiness(&settings.catalogue, false));
    listen("shop", &options, move |config| {
        config.app_data(readiness.clone()).configure(api::health_routes);
        // Once for each thread of the server.
        let pages = Pages { checkout: pages.checkout.on_this_thread(), ..pages.clone() };
        config.app_data(Data::new(pages)).configure(shop::routes);
    })
}

fn listen_console(
    settings: &Settings,
    connected: &Connected,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Listening>> {
    let Some(addr) = settings.console_addr else { return Ok(None) };
    let head_timeout = settings.api.head_timeout;
    let options = ServerOptions { addr, connections_max: 256, head_timeout };
    let room = ControlRoom::new(connected.telemetry.clock().clone());
    let (data, host) = (Data::new(room.clone()), Data::new(ConsoleHost(settings.console_host.clone())));
    let listening = listen("operations console", &options, move |config| {
        config.app_data(data.clone()).app_data(host.clone()).configure(shop::console_routes);
    })?;
    let (catalogue, stores) = (settings.catalogue.clone(), connected.stores.clone());
    room.open(catalogue, stores, connected.telemetry.clone(), connected.noticeboard.clone(), stop.clone());
    Ok(Some(listening))
}

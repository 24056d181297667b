//! The servers of a process: each face with what it needs.

use std::{net::SocketAddr, sync::Arc};

use actix_web::web::Data;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{descriptors::budget, settings::Settings, stores::Connected};
use crate::{
    api::{self, Api},
    checkout::Checkout,
    config::CatalogueSource,
    console::{self, Console, ConsoleToken, Monitor, ShopLink},
    http::{
        ConnectionBudget, CorsOrigins, Site,
        health::{self, Health},
        server::{Listening, ServerOptions, listen},
    },
    observability::readiness::Readiness,
    runtime::{FileError, error_chain},
    shop::{self, Shop, Updates},
};

/// Of one process, which share its descriptors.
pub(super) struct Servers<'process> {
    pub(super) settings: &'process Settings,
    pub(super) connected: &'process Connected,
    pub(super) checkout: &'process Checkout,
    pub(super) readiness: &'process Readiness,
    /// The process has been told to end, and is not ready any more.
    pub(super) stopping: &'process CancellationToken,
    /// The process stops to serve.
    pub(super) stop: &'process CancellationToken,
}

impl Servers<'_> {
    /// The API, whose process has no other server.
    pub(super) fn listen_api(&self) -> anyhow::Result<Vec<Listening>> {
        Ok(vec![self.api(budget(self.settings, (1, 0), 0)?)?])
    }

    /// The shop, and the operations console on an address of its own, which buyers need not
    /// be able to reach.
    pub(super) fn listen_pages(&self) -> anyhow::Result<Vec<Listening>> {
        self.pages(budget(self.settings, (1, 1), 0)?)
    }

    /// API, shop and operations console.
    pub(super) fn listen_all(&self) -> anyhow::Result<Vec<Listening>> {
        let budget = budget(self.settings, (2, 1), 0)?;
        let mut servers = vec![self.api(budget)?];
        servers.extend(self.pages(budget)?);
        Ok(servers)
    }

    fn api(&self, budget: ConnectionBudget) -> anyhow::Result<Listening> {
        let api = Api {
            checkout: self.checkout.clone(),
            catalogue: self.connected.catalogue.clone(),
            shop: self.settings.shop.public.clone(),
            body_timeout: self.settings.api.body_timeout,
        };
        let health = self.health();
        let options = ServerOptions {
            cors_origins: self.settings.api.cors_origins.clone(),
            ..self.options(self.settings.api.addr, budget.buyers)
        };
        listen("API", &options, move |config| {
            health::routes(config, health.clone());
            api::routes(config, Api { checkout: api.checkout.on_this_thread(), ..api.clone() });
        })
    }

    fn pages(&self, budget: ConnectionBudget) -> anyhow::Result<Vec<Listening>> {
        // The shop sells without the console.
        let link = ShopLink::new(self.settings.shop.public.absolute("/"));
        let console = self.console(budget, link.clone()).unwrap_or_else(|error| {
            tracing::error!("there is no operations console: {error:#} (FLASHSALE_CONSOLE_ADDR)");
            None
        });
        let shop = self.shop(budget, console.as_ref().map(|listening| listening.addr))?;
        link.set_addr(shop.addr);
        Ok(std::iter::once(shop).chain(console).collect())
    }

    fn shop(&self, budget: ConnectionBudget, console_addr: Option<SocketAddr>) -> anyhow::Result<Listening> {
        let state = Shop {
            checkout: self.checkout.clone(),
            catalogue: self.connected.catalogue.clone(),
            site: Data::new(self.site()),
            body_timeout: self.settings.api.body_timeout,
            updates: Updates::default(),
            listeners: Arc::new(Semaphore::new(0)),
            console_addr,
            stop: self.stopping.clone(),
        };
        let health = self.health();
        let options = self.options(self.settings.web_addr, budget.buyers);
        listen("shop", &options, move |config| {
            health::routes(config, health.clone());
            let listeners = Arc::new(Semaphore::new(budget.streams_of_a_thread()));
            let checkout = state.checkout.on_this_thread();
            shop::routes(config, Shop { checkout, listeners, ..state.clone() });
        })
    }

    /// With the pictures, which no other server shows.
    fn site(&self) -> Site {
        let catalogue = match &self.settings.catalogue {
            CatalogueSource::File(file) => file.catalogue.products(),
            CatalogueSource::Demo(catalogue) => catalogue.products(),
            CatalogueSource::Ledger => &[],
        };
        self.settings.shop.with_pictures(catalogue.iter().map(|product| product.image.as_str()))
    }

    fn console(&self, budget: ConnectionBudget, shop: ShopLink) -> anyhow::Result<Option<Listening>> {
        let Self { settings, connected, stop, .. } = self;
        let Some(addr) = settings.console.addr else { return Ok(None) };
        let monitor = Monitor::new(connected.telemetry.clock().clone());
        let console = Console {
            monitor: monitor.clone(),
            host_name: settings.console.host.clone(),
            catalogue: connected.catalogue.clone(),
            sources: connected.sources(),
            shop,
            token: console_token(settings, connected),
        };
        let options = self.options(addr, budget.operators);
        let listening = listen("operations console", &options, move |config| {
            console::routes(config, console.clone());
        })?;
        let (catalogue, stores) = (connected.catalogue.clone(), connected.stores.clone());
        let (telemetry, registry) = (connected.telemetry.clone(), connected.registry.clone());
        monitor.start(catalogue, stores, telemetry, registry, &connected.runtime.tasks, stop);
        Ok(Some(listening))
    }

    fn health(&self) -> Data<Health> {
        Data::new(Health { readiness: self.readiness.clone(), stopping: self.stopping.clone() })
    }

    fn options(&self, addr: SocketAddr, connections_max: usize) -> ServerOptions {
        options(self.settings, addr, connections_max, self.stopping)
    }
}

/// The console is of use without it.
fn console_token(settings: &Settings, connected: &Connected) -> Option<ConsoleToken> {
    let path = settings.console.token_file.as_ref()?;
    let token = ConsoleToken::of_file(path, &*connected.runtime.entropy);
    let refused = |error: &FileError| {
        tracing::error!("nobody can audit a run through the console: {}", error_chain(error));
    };
    token.inspect_err(refused).ok()
}

/// A worker's health, if it has an address.
pub(super) fn listen_health(
    settings: &Settings,
    readiness: Readiness,
    stopping: &CancellationToken,
) -> anyhow::Result<Option<Listening>> {
    let servers = usize::from(settings.work_health_addr.is_some());
    let budget = budget(settings, (0, servers), settings.worker.lanes)?;
    let Some(addr) = settings.work_health_addr else { return Ok(None) };
    let health = Data::new(Health { readiness, stopping: stopping.clone() });
    let options = options(settings, addr, budget.operators, stopping);
    let listening = listen("health", &options, move |config| health::routes(config, health.clone()));
    listening.map(Some)
}

fn options(
    settings: &Settings,
    addr: SocketAddr,
    connections_max: usize,
    stopping: &CancellationToken,
) -> ServerOptions {
    let (head_timeout, cors_origins) = (settings.api.head_timeout, CorsOrigins::default());
    ServerOptions { addr, connections_max, head_timeout, cors_origins, stopping: stopping.clone() }
}

//! The servers of a process: each face with what it needs.

use std::net::SocketAddr;

use actix_web::web::Data;
use tokio_util::sync::CancellationToken;

use super::{settings::Settings, stores::Connected};
use crate::{
    api::{self, Api},
    checkout::Checkout,
    console::{self, Console, ConsoleToken, Monitor},
    http::{
        health,
        server::{Listening, ServerOptions, listen},
    },
    observability::readiness::Readiness,
    runtime::{FileError, error_chain},
    shop::{self, Shop, Updates},
};

/// Few clients read health or the operations console.
const OPERATORS_CONNECTIONS_MAX: usize = 256;

pub(super) fn listen_api(
    settings: &Settings,
    connected: &Connected,
    checkout: &Checkout,
    readiness: &Readiness,
) -> anyhow::Result<Listening> {
    let api = Api {
        checkout: checkout.clone(),
        catalogue: connected.catalogue.clone(),
        body_timeout: settings.api.body_timeout,
    };
    let readiness = Data::new(readiness.clone());
    listen("API", &buyers_options(settings, settings.api.addr), move |config| {
        health::routes(config, readiness.clone());
        api::routes(config, Api { checkout: api.checkout.on_this_thread(), ..api.clone() });
    })
}

/// The shop, and the operations console on an address of its own, which buyers need not
/// be able to reach.
pub(super) fn listen_pages(
    settings: &Settings,
    connected: &Connected,
    checkout: &Checkout,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Listening>> {
    // The shop sells without the console.
    let console = listen_console(settings, connected, stop).unwrap_or_else(|error| {
        tracing::error!("there is no operations console: {error:#} (FLASHSALE_CONSOLE_ADDR)");
        None
    });
    let console_addr = console.as_ref().map(|listening| listening.addr);
    let pages = listen_shop(settings, connected, checkout, readiness, console_addr, stop)?;
    Ok(std::iter::once(pages).chain(console).collect())
}

fn listen_shop(
    settings: &Settings,
    connected: &Connected,
    checkout: &Checkout,
    readiness: &Readiness,
    console_addr: Option<SocketAddr>,
    stop: &CancellationToken,
) -> anyhow::Result<Listening> {
    let state = Shop {
        checkout: checkout.clone(),
        catalogue: connected.catalogue.clone(),
        body_timeout: settings.api.body_timeout,
        updates: Updates::default(),
        console_addr,
        stop: stop.clone(),
    };
    let readiness = Data::new(readiness.clone());
    listen("shop", &buyers_options(settings, settings.web_addr), move |config| {
        health::routes(config, readiness.clone());
        shop::routes(config, Shop { checkout: state.checkout.on_this_thread(), ..state.clone() });
    })
}

fn listen_console(
    settings: &Settings,
    connected: &Connected,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Listening>> {
    let Some(addr) = settings.console.addr else { return Ok(None) };
    let monitor = Monitor::new(connected.telemetry.clock().clone());
    let console = Console {
        monitor: monitor.clone(),
        host_name: settings.console.host.clone(),
        catalogue: connected.catalogue.clone(),
        sources: connected.sources(),
        token: console_token(settings, connected),
    };
    let listening = listen("operations console", &operators_options(settings, addr), move |config| {
        console::routes(config, console.clone());
    })?;
    let (catalogue, stores) = (connected.catalogue.clone(), connected.stores.clone());
    let (telemetry, registry) = (connected.telemetry.clone(), connected.registry.clone());
    monitor.start(catalogue, stores, telemetry, registry, &connected.runtime.tasks, stop);
    Ok(Some(listening))
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

pub(super) fn listen_health(settings: &Settings, readiness: Readiness) -> anyhow::Result<Option<Listening>> {
    let Some(addr) = settings.work_health_addr else { return Ok(None) };
    let readiness = Data::new(readiness);
    let listening = listen("health", &operators_options(settings, addr), move |config| {
        health::routes(config, readiness.clone());
    });
    listening.map(Some)
}

fn buyers_options(settings: &Settings, addr: SocketAddr) -> ServerOptions {
    let connections_max = settings.api.connections_max;
    ServerOptions { addr, connections_max, head_timeout: settings.api.head_timeout }
}

fn operators_options(settings: &Settings, addr: SocketAddr) -> ServerOptions {
    let connections_max = OPERATORS_CONNECTIONS_MAX;
    ServerOptions { addr, connections_max, head_timeout: settings.api.head_timeout }
}

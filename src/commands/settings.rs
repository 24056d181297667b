//! Everything that an operator can set: the sections of all parts, read and checked together.
//!
//! `config/default.toml` explains every key and the order of the layers.

use std::{net::SocketAddr, path::PathBuf};

use crate::admission::RedisOptions;
use crate::broker::RabbitOptions;
use crate::checkout::CheckoutOptions;
use crate::config::{CatalogueSource, ConfigError, Layers, Reader, ServiceUrl, UnknownVariable, variable_of};
use crate::console::ConsoleOptions;
use crate::http::{ApiOptions, Site};
use crate::ledger::PostgresOptions;
use crate::observability::LogOptions;
use crate::recovery::RecoveryOptions;
use crate::worker::WorkerOptions;

#[derive(Clone, Debug)]
pub struct Settings {
    /// First part of Redis keys and queue names.
    pub prefix: String,
    pub catalogue: CatalogueSource,
    pub mode: Mode,
    pub log: LogOptions,
    pub api: ApiOptions,
    pub web_addr: SocketAddr,
    pub shop: Site,
    pub console: ConsoleOptions,
    pub work_health_addr: Option<SocketAddr>,
    pub checkout: CheckoutOptions,
    pub recovery: RecoveryOptions,
    pub worker: WorkerOptions,
    /// Environment variables that begin with `FLASHSALE_` and belong to no key: perhaps misspelt.
    pub unknown_variables: Vec<UnknownVariable>,
}

#[derive(Clone, Debug)]
pub enum Mode {
    /// Everything in one process, with its database in this directory.
    Embedded {
        data_dir: PathBuf,
    },
    Distributed(Box<Services>),
}

#[derive(Clone, Debug)]
pub struct Services {
    pub postgres: PostgresOptions,
    pub redis: RedisOptions,
    pub rabbit: RabbitOptions,
}

/// The command that reads the settings. It decides which of the files that they name are read: a
/// file that a command does not need can't keep it from working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sells the catalogue; in the embedded mode, on pages as well.
    Serve,
    /// Serves the pages, in the distributed mode.
    Web,
    /// Adds the products of the catalogue to the ledger.
    Products,
    /// Works on what there is. Its [`Settings::catalogue`] is the ledger.
    Command,
}

impl Settings {
    /// The error lists everything that is wrong.
    pub fn load(layers: Layers, purpose: Purpose) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(layers);
        let prefix = reader.checked_text("prefix", check_prefix);
        let urls = ServiceUrls::read(&mut reader);
        // In embedded mode as well, so that a wrong value is found before the services are set.
        let services = Services {
            postgres: PostgresOptions::read(&mut reader, urls.database.clone().unwrap_or_default()),
            redis: RedisOptions::read(&mut reader, urls.redis.clone().unwrap_or_default(), &prefix),
            rabbit: RabbitOptions::read(&mut reader, urls.amqp.clone().unwrap_or_default(), &prefix),
        };
        let in_flight_max = reader.integer("redis.in_flight_max", 1..=1_000_000);
        let checkout = CheckoutOptions::read(&mut reader, in_flight_max);
        let recovery = RecoveryOptions::read(&mut reader);
        let data_dir = reader.text("data_dir").into();
        let mode = if urls.are_all_set(&mut reader) {
            Mode::Distributed(Box::new(services))
        } else {
            Mode::Embedded { data_dir }
        };
        let log = LogOptions::read(&mut reader);
        let api = ApiOptions::read(&mut reader);
        let web_addr = reader.addr("web.addr");
        let serves_pages = match purpose {
            Purpose::Serve => matches!(mode, Mode::Embedded { .. }),
            Purpose::Web => true,
            Purpose::Products | Purpose::Command => false,
        };
        let shop = Site::read(&mut reader, serves_pages);
        let data_dir = match &mode {
            Mode::Embedded { data_dir } => Some(data_dir.as_path()),
            Mode::Distributed(_) => None,
        };
        let console = ConsoleOptions::read(&mut reader, data_dir);
        let work_health_addr = reader.optional_addr("work.health_addr");
        let worker = WorkerOptions::read(&mut reader);
        let has_demo = data_dir.is_some();
        let pictures = shop.named_pictures();
        let catalogue = match purpose {
            Purpose::Command => Some(CatalogueSource::Ledger),
            Purpose::Serve | Purpose::Web | Purpose::Products => {
                CatalogueSource::of_key(&mut reader, has_demo, &|image| pictures.check(image))
            }
        };
        let Some(catalogue) = catalogue else {
            return Err(reader.into_error());
        };
        let unknown_variables = reader.finish()?;
        Ok(Self {
            prefix,
            catalogue,
            mode,
            log,
            api,
            web_addr,
            shop,
            console,
            work_health_addr,
            checkout,
            recovery,
            worker,
            unknown_variables,
        })
    }
}

fn check_prefix(text: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
    if fits { Ok(()) } else { Err("1 to 32 of a-z 0-9 - _ .") }
}

/// `None`: not set.
struct ServiceUrls {
    database: Option<ServiceUrl>,
    redis: Option<ServiceUrl>,
    amqp: Option<ServiceUrl>,
}

impl ServiceUrls {
    fn read(reader: &mut Reader) -> Self {
        Self {
            database: reader.url_of_hosts("database_url", &["postgres", "postgresql"]),
            redis: reader.url("redis_url", &["redis"]),
            amqp: reader.url("amqp_url", &["amqp"]),
        }
    }

    /// Setting only some of them is an error.
    fn are_all_set(&self, reader: &mut Reader) -> bool {
        let urls = [("database_url", &self.database), ("redis_url", &self.redis), ("amqp_url", &self.amqp)];
        let missing: Vec<_> =
            urls.iter().filter(|(_, url)| url.is_none()).map(|(key, _)| variable_of(key)).collect();
        if (1..urls.len()).contains(&missing.len()) {
            reader.error(format!(
                "{} not set: set all of DATABASE_URL, REDIS_URL and AMQP_URL, or none to run embedded",
                missing.join(" and ")
            ));
        }
        missing.is_empty()
    }
}

//! Connects admission, broker and ledger in one of the two modes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::sync::watch;

use super::wiring::Wiring;
use super::{
    data_dir::DataDir,
    ledger::{identify, open_own_ledger},
    settings::{Mode, Services, Settings},
};
use crate::admission::{MemoryAdmission, RedisAdmission, RedisOptions, Scripts};
use crate::audit::Sources;
use crate::broker::{MemoryBroker, RabbitMq};
use crate::config::CatalogueSource;
use crate::domain::{Catalogue, SystemId};
use crate::ledger::PostgresLedger;
use crate::observability::registry::ProcessRegistry;
use crate::observability::{Dependency, Telemetry};
use crate::runtime::Runtime;
use crate::stores::{LedgerCatalogue, Stores};

/// The stores, with the state of the connections beneath them.
pub(super) struct Connected {
    pub(super) runtime: Runtime,
    pub(super) stores: Stores,
    pub(super) telemetry: Telemetry,
    /// Redis and RabbitMQ; none in the embedded mode.
    pub(super) dependencies: Vec<Dependency>,
    /// The ledger's, as the commits of this process see it.
    pub(super) ledger_state: Dependency,
    pub(super) registry: ProcessRegistry,
    pub(super) catalogue: LedgerCatalogue,
    /// Which system this is, once the ledger was reached; the broker waits for it.
    pub(super) system: watch::Sender<Option<SystemId>>,
    /// Held for as long as the embedded stores are in use.
    pub(super) data_dir: Option<DataDir>,
}

impl Connected {
    pub(super) fn sources(&self) -> Sources {
        self.stores.clone().into()
    }
}

/// Opens the embedded stores, or starts connecting to the services; that goes on in the background.
pub(super) async fn connect(settings: &Settings, role: &str, wiring: Wiring) -> anyhow::Result<Connected> {
    let runtime = Runtime::system();
    let catalogue = match settings.catalogue.clone() {
        CatalogueSource::File(file) => {
            LedgerCatalogue::new(file.catalogue.clone(), Some(Arc::new(move || file.read_again())))
        }
        CatalogueSource::Demo(catalogue) => LedgerCatalogue::new(catalogue, None),
        CatalogueSource::Ledger => LedgerCatalogue::new(Catalogue::default(), None),
    };
    let connected = match &settings.mode {
        Mode::Embedded { data_dir } => {
            let data_dir = DataDir::lock(data_dir)?;
            let ledger = DataDir::open_database(data_dir.path()).await?;
            let stores = Stores {
                admission: Arc::new(MemoryAdmission::new(runtime.clock.clone())),
                broker: Arc::new(MemoryBroker::default()),
                ledger: Arc::new(ledger),
            };
            let telemetry = Telemetry::new(runtime.clock.clone());
            Connected {
                ledger_state: ledger_state(&stores, &telemetry),
                stores,
                telemetry,
                dependencies: Vec::new(),
                registry: ProcessRegistry::local(&runtime.clock),
                catalogue,
                system: watch::Sender::new(None),
                data_dir: Some(data_dir),
                runtime,
            }
        }
        Mode::Distributed(services) => {
            connect_services(services, role, runtime, (wiring.scripts)(), catalogue)?
        }
    };
    Ok(Connected { stores: (wiring.stores)(connected.stores, settings), ..connected })
}

fn connect_services(
    services: &Services,
    role: &str,
    runtime: Runtime,
    scripts: Scripts,
    catalogue: LedgerCatalogue,
) -> anyhow::Result<Connected> {
    let Services { postgres, redis: redis_options, rabbit } = services;
    let telemetry = Telemetry::new(runtime.clock.clone());
    let dependency = |name| Dependency::new(name, &runtime.clock).noted_in(&telemetry.events);
    let redis = dependency("redis");
    let publishing = dependency("rabbitmq");
    let consuming = dependency("rabbitmq-consumer");
    let system = watch::Sender::new(None);
    let admission = RedisAdmission::start(redis_options, scripts, system.subscribe(), &redis, &runtime)
        .context("REDIS_URL")?;
    let broker =
        RabbitMq::start(rabbit.clone(), &publishing, consuming.clone(), system.subscribe(), &runtime)
            .context("AMQP_URL")?;
    let ledger = PostgresLedger::new(postgres.of_command(role))?;
    let mut dependencies = vec![redis, publishing];
    if role == "work" {
        dependencies.push(consuming);
    }
    let stores =
        Stores { admission: Arc::new(admission), broker: Arc::new(broker), ledger: Arc::new(ledger) };
    let RedisOptions { url, prefix, connect_timeout, .. } = redis_options;
    let registry =
        ProcessRegistry::redis(url, prefix, *connect_timeout, &runtime.clock).context("REDIS_URL")?;
    let ledger_state = ledger_state(&stores, &telemetry);
    Ok(Connected {
        stores,
        telemetry,
        dependencies,
        ledger_state,
        registry,
        catalogue,
        system,
        data_dir: None,
        runtime,
    })
}

fn ledger_state(stores: &Stores, telemetry: &Telemetry) -> Dependency {
    Dependency::new(stores.ledger.name(), telemetry.clock()).noted_in(&telemetry.events)
}

/// The stores for an operator's command. Waits up to 10 s for the services.
pub(super) async fn sources(settings: &Settings, role: &str) -> anyhow::Result<Sources> {
    /// A connection to a running service takes milliseconds.
    const TIMEOUT: Duration = Duration::from_secs(10);
    let mut settings = settings.clone();
    match &mut settings.mode {
        Mode::Embedded { .. } => {
            let ledger = open_own_ledger(&settings, role).await?;
            return Ok(Sources { ledger, admission: None, broker: None });
        }
        // A command leaves nothing in the queue, which perhaps no worker reads.
        Mode::Distributed(services) => services.rabbit.proves_queue = false,
    }
    let Connected { stores, dependencies, system, .. } = connect(&settings, role, Wiring::default()).await?;
    let connecting = async {
        system.send_replace(Some(identify(&*stores.ledger, &settings).await?));
        while dependencies.iter().any(|dependency| dependency.outage().is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(TIMEOUT, connecting).await {
        Ok(reached) => reached?,
        Err(_elapsed) => {
            let unreachable: Vec<_> = dependencies
                .iter()
                .filter_map(|dependency| Some(format!("{}: {}", dependency.name(), dependency.outage()?)))
                .collect();
            bail!("not reachable: {}", unreachable.join("; "));
        }
    }
    Ok(stores.into())
}

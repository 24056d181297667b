//! Connects admission, broker and ledger in one of the two modes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::wiring::Wiring;
use super::{
    data_dir::DataDir,
    ledger::{identify, open_own_ledger},
    preparation::Preparation,
    settings::{Mode, Services, Settings},
};
use crate::admission::{MemoryAdmission, RedisAdmission, RedisOptions, Scripts};
use crate::audit::Sources;
use crate::broker::{MemoryBroker, RabbitMq};
use crate::checkout::{Checkout, SaleReader};
use crate::config::CatalogueSource;
use crate::domain::{Catalogue, SystemId};
use crate::ledger::PostgresLedger;
use crate::observability::Dependency;
use crate::observability::Telemetry;
use crate::observability::readiness::{Readiness, ServiceProbe};
use crate::observability::registry::{HeartbeatSender, ProcessRegistry, Role};
use crate::outbox::Publisher;
use crate::runtime::{Runtime, error_chain};
use crate::stores::{EpochWatch, LedgerCatalogue, SalesProbe, SalesWatch, Stores, watch_ledger};

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

    /// Migrates the ledger, proves that it is this system's, and adds products. Fails if it has
    /// none then.
    pub(super) async fn prepare(&self, settings: &Settings, stop: &CancellationToken) -> anyhow::Result<()> {
        let preparation = self.preparation(settings, stop);
        let system = preparation.prepare().await?;
        preparation.require_products().await?;
        self.begin(system, stop).await;
        Ok(())
    }

    /// Proves that the ledger is this system's, for a process that leaves it as it is.
    pub(super) async fn identify(&self, settings: &Settings, stop: &CancellationToken) -> anyhow::Result<()> {
        let system = self.preparation(settings, stop).identify().await?;
        self.begin(system, stop).await;
        Ok(())
    }

    /// Begins what waits for the ledger. `None`: it was not reached.
    async fn begin(&self, system: Option<SystemId>, stop: &CancellationToken) {
        let Some(system) = system else { return };
        self.system.send_replace(Some(system));
        let (ledger, runtime) = (self.stores.ledger.clone(), self.runtime.clone());
        if let Err(error) = self.catalogue.refresh(&*ledger, runtime.clock.now()).await {
            tracing::debug!(error = error_chain(&error), "the products are read later");
        }
        let reading = self.catalogue.clone().keep_fresh(ledger, runtime, stop.clone());
        self.runtime.tasks.spawn("the reader of the products", stop, reading);
    }

    fn preparation<'process>(
        &'process self,
        settings: &'process Settings,
        stop: &'process CancellationToken,
    ) -> Preparation<'process> {
        let (ledger, state) = (&*self.stores.ledger, &self.ledger_state);
        Preparation { ledger, settings, state, runtime: &self.runtime, stop }
    }

    /// Starts to send heartbeats; the task ends after `stop`.
    pub(super) fn report(
        &self,
        role: Role,
        readiness: Readiness,
        stop: &CancellationToken,
    ) -> JoinHandle<()> {
        let (registry, telemetry) = (self.registry.clone(), self.telemetry.clone());
        let sender = HeartbeatSender::new(role, registry, readiness, telemetry, &self.runtime);
        self.runtime.tasks.spawn("the heartbeat", stop, sender.run(stop.clone()))
    }

    /// What attempts and readiness know of the sales.
    pub(super) fn sales(&self) -> SalesWatch {
        SalesWatch::new(&self.stores.admission, &self.catalogue)
    }

    /// A worker needs every service. Selling needs admission alone: during an outage of broker or
    /// ledger, purchases are kept in the outbox; where the outbox does not outlive the process,
    /// selling needs the ledger too.
    ///
    /// Starts the tasks that keep it true, until `stop`.
    pub(super) fn readiness(
        &self,
        sales: &SalesWatch,
        needs_everything: bool,
        stop: &CancellationToken,
    ) -> Readiness {
        let Stores { admission, ledger, .. } = &self.stores;
        let needs_ledger = needs_everything || !admission.outlives_process();
        self.runtime.tasks.spawn(
            "the watch of the sales",
            stop,
            sales.clone().run(self.runtime.clone(), stop.clone()),
        );
        let (state, mut system) = (self.ledger_state.clone(), self.system.subscribe());
        let watching = watch_ledger(ledger.clone(), state.clone(), self.runtime.clone(), stop.clone());
        let over = stop.clone();
        self.runtime.tasks.spawn("the watch of the ledger", stop, async move {
            // Until then the start of this process tells whether the ledger can be used.
            tokio::select! {
                () = async { drop(system.wait_for(Option::is_some).await) } => {}
                () = over.cancelled() => return,
            }
            watching.await;
        });
        let services = self.dependencies.iter().cloned().fold(Readiness::default(), |checked, dependency| {
            let required = needs_everything || dependency.name() == "redis";
            checked.with(ServiceProbe { dependency, required })
        });
        services
            .with(ServiceProbe { dependency: state, required: needs_ledger })
            .with(SalesProbe { watch: sales.clone(), required: !needs_everything })
            .with(self.catalogue.clone())
    }
}

/// Opens the embedded stores, or starts connecting to the services; that goes on in the background.
pub(super) async fn connect(settings: &Settings, role: &str, wiring: Wiring) -> anyhow::Result<Connected> {
    let runtime = Runtime::system();
    let catalogue = match settings.catalogue.clone() {
        CatalogueSource::File(catalogue) => LedgerCatalogue::new(catalogue, true),
        CatalogueSource::Demo(catalogue) => LedgerCatalogue::new(catalogue, false),
        CatalogueSource::Ledger => LedgerCatalogue::new(Catalogue::default(), false),
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

/// What sells, with a task that keeps it from selling under an epoch that is over, until `stop`.
pub(super) fn checkout(
    settings: &Settings,
    connected: &Connected,
    publisher: Publisher,
    sales: &SalesWatch,
    stop: &CancellationToken,
) -> Checkout {
    let Connected { stores, runtime, telemetry, .. } = connected;
    let epochs = EpochWatch::new(stores, runtime);
    if stores.admission.outlives_process() {
        runtime.tasks.spawn("the watch of epochs", stop, epochs.clone().run(stop.clone()));
    }
    let reader = SaleReader::new(stores, runtime);
    Checkout::new(reader, publisher, epochs, sales.clone(), settings.checkout, runtime, &telemetry.meter)
}

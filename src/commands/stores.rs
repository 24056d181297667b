//! Connects admission, broker and ledger in one of the two modes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::data_dir::DataDir;
use crate::admission::{MemoryAdmission, RedisAdmission, RedisOptions};
use crate::audit::Sources;
use crate::broker::{MemoryBroker, RabbitMq, RabbitOptions, Topology};
use crate::checkout::{Checkout, CheckoutOptions, SaleReader};
use crate::config::{Mode, Services, Settings};
use crate::domain::Catalogue;
use crate::ledger::{Ledger, PostgresLedger, PostgresOptions, SqliteLedger};
use crate::observability::Dependency;
use crate::observability::Telemetry;
use crate::observability::readiness::Readiness;
use crate::observability::registry::{Noticeboard, Reporter, Role};
use crate::outbox::Publisher;
use crate::recovery::RecoveryOptions;
use crate::runtime::{Backoff, Runtime, error_chain};
use crate::stores::Stores;
use crate::worker::WorkerOptions;

/// The stores, with the state of the connections beneath them.
pub(super) struct Connected {
    pub(super) runtime: Runtime,
    pub(super) stores: Stores,
    pub(super) telemetry: Telemetry,
    pub(super) dependencies: Vec<Dependency>,
    /// Where this process and the others tell how they are.
    pub(super) noticeboard: Noticeboard,
    /// Held for as long as the embedded stores are in use.
    pub(super) data_dir: Option<DataDir>,
}

impl Connected {
    /// The same stores, as an audit reads them.
    pub(super) fn sources(&self) -> Sources {
        let Stores { admission, broker, ledger } = self.stores.clone();
        Sources { ledger, admission: Some(admission), broker: Some(broker) }
    }

    /// Begins to post this process's report; the task ends after `stop`.
    pub(super) fn report(
        &self,
        role: Role,
        readiness: Readiness,
        stop: &CancellationToken,
    ) -> JoinHandle<()> {
        let telemetry = self.telemetry.clone();
        let reporter = Reporter::new(role, self.noticeboard.clone(), readiness, telemetry);
        tokio::spawn(reporter.run(stop.clone()))
    }

    pub(super) fn readiness(&self, catalogue: &Catalogue, needs_everything: bool) -> Readiness {
        Readiness {
            admission: self.stores.admission.clone(),
            catalogue: catalogue.clone(),
            ledger: self.stores.ledger.clone(),
            dependencies: self.dependencies.clone(),
            needs_everything,
            drift: None,
        }
    }
}

/// Opens the embedded stores, or starts connecting to the services; that goes on in the background.
pub(super) async fn connect(settings: &Settings, role: &str) -> anyhow::Result<Connected> {
    let runtime = Runtime::system();
    match &settings.mode {
        Mode::Embedded { data_dir } => {
            let data_dir = DataDir::lock(data_dir)?;
            let ledger = SqliteLedger::open(&DataDir::database(data_dir.path())).await?;
            let stores = Stores {
                admission: Arc::new(MemoryAdmission::new(runtime.clock.clone())),
                broker: Arc::new(MemoryBroker::default()),
                ledger: Arc::new(ledger),
            };
            Ok(Connected {
                stores,
                telemetry: Telemetry::new(runtime.clock.clone()),
                dependencies: Vec::new(),
                noticeboard: Noticeboard::local(),
                data_dir: Some(data_dir),
                runtime,
            })
        }
        Mode::Distributed(services) => connect_services(settings, services, role, runtime),
    }
}

fn connect_services(
    settings: &Settings,
    services: &Services,
    role: &str,
    runtime: Runtime,
) -> anyhow::Result<Connected> {
    let telemetry = Telemetry::new(runtime.clock.clone());
    let dependency = |name| Dependency::new(name, &runtime.clock).noted_in(&telemetry.events);
    let redis = dependency("redis");
    let publishing = dependency("rabbitmq");
    let consuming = dependency("rabbitmq-consumer");
    let admission =
        RedisAdmission::start(&redis_options(settings, services), &redis, &runtime).context("REDIS_URL")?;
    let options = rabbit_options(settings, services);
    let broker = RabbitMq::start(options, &publishing, consuming.clone(), &runtime).context("AMQP_URL")?;
    let ledger = PostgresLedger::new(postgres_options(settings, services, role))?;
    let mut dependencies = vec![redis, publishing];
    if role == "work" {
        dependencies.push(consuming);
    }
    let stores =
        Stores { admission: Arc::new(admission), broker: Arc::new(broker), ledger: Arc::new(ledger) };
    let timeout = settings.redis.connect_timeout;
    let noticeboard = Noticeboard::redis(&services.redis, &settings.prefix, timeout).context("REDIS_URL")?;
    Ok(Connected { stores, telemetry, dependencies, noticeboard, data_dir: None, runtime })
}

/// The stores as an operator's command reads them. Waits a little for the services, and fails if they are away.
pub(super) async fn sources(settings: &Settings, role: &str) -> anyhow::Result<Sources> {
    /// A connection takes milliseconds, where there is something to connect to.
    const PATIENCE: Duration = Duration::from_secs(10);
    if let Mode::Embedded { data_dir } = &settings.mode {
        let database = DataDir::database(data_dir);
        ensure!(database.exists(), "there is no {}: has `flashsale serve` run here?", database.display());
        let ledger = Arc::new(SqliteLedger::open(&database).await?);
        return Ok(Sources { ledger, admission: None, broker: None });
    }
    let Connected { stores, dependencies, .. } = connect(settings, role).await?;
    let connecting = async {
        while dependencies.iter().any(|dependency| dependency.outage().is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stores.ledger.ping().await
    };
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(reached) => reached?,
        Err(_elapsed) => {
            let away: Vec<_> = dependencies
                .iter()
                .filter_map(|dependency| Some(format!("{}: {}", dependency.name(), dependency.outage()?)))
                .collect();
            bail!("not reachable: {}", away.join("; "));
        }
    }
    let Stores { admission, broker, ledger } = stores;
    Ok(Sources { ledger, admission: Some(admission), broker: Some(broker) })
}

fn redis_options(settings: &Settings, services: &Services) -> RedisOptions {
    RedisOptions {
        url: services.redis.clone(),
        prefix: settings.prefix.clone(),
        connections: settings.redis.connections,
        pool_size: settings.redis.pool_size,
        connect_timeout: settings.redis.connect_timeout,
        response_timeout: settings.redis.response_timeout,
    }
}

fn rabbit_options(settings: &Settings, services: &Services) -> RabbitOptions {
    RabbitOptions {
        url: services.amqp.clone(),
        topology: Topology::new(&settings.prefix),
        heartbeat_s: settings.broker.heartbeat_s,
        connect_timeout: settings.broker.connect_timeout,
        publish_timeout: settings.broker.publish_timeout,
        prefetch_messages: settings.broker.prefetch_messages,
    }
}

pub(super) fn postgres_options(settings: &Settings, services: &Services, role: &str) -> PostgresOptions {
    PostgresOptions {
        url: services.database.clone(),
        application_name: format!("flashsale {role}"),
        pool_size: settings.ledger.pool_size,
        connect_timeout: settings.ledger.connect_timeout,
        statement_timeout: settings.ledger.statement_timeout,
        lock_timeout: settings.ledger.lock_timeout,
    }
}

/// Migrates the ledger and writes the catalogue into it. Waits while the database is away; fails if the
/// catalogue contradicts what is sold, or a migration fails.
pub(super) async fn prepare_ledger(
    ledger: &dyn Ledger,
    catalogue: &Catalogue,
    state: &Dependency,
    runtime: &Runtime,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::of_reconnects(runtime);
    loop {
        let prepared = async {
            let applied = ledger.migrate().await?;
            if applied > 0 {
                tracing::info!(applied, "migrated the ledger");
            }
            ledger.upsert_products(catalogue.products()).await
        };
        let prepared = tokio::select! {
            prepared = prepared => prepared,
            // What was begun ends by itself, as a whole or not at all.
            () = stop.cancelled() => return Ok(()),
        };
        match prepared {
            Ok(()) => {
                state.up();
                return Ok(());
            }
            Err(error) if error.is_transient() => state.down(error_chain(&error)),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = backoff.wait() => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

pub(super) fn worker_options(settings: &Settings) -> WorkerOptions {
    WorkerOptions { batch_items_max: settings.worker.batch_items_max, linger: settings.worker.linger }
}

pub(super) fn checkout(settings: &Settings, connected: &Connected, publisher: Publisher) -> Checkout {
    let Connected { stores, runtime, telemetry, .. } = connected;
    let options = CheckoutOptions {
        confirm_timeout: settings.broker.confirm_timeout,
        confirm_counts_for: confirm_counts_for(settings),
        in_flight_max: settings.redis.in_flight_max,
    };
    Checkout::new(SaleReader::new(stores, runtime), publisher, options, runtime, &telemetry.meter)
}

/// One attempt: the answer of Redis, and then the confirm.
fn confirm_counts_for(settings: &Settings) -> Duration {
    settings.redis.response_timeout + settings.broker.confirm_timeout
}

pub(super) fn recovery_options(settings: &Settings) -> RecoveryOptions {
    /// For what is under way when the time is up.
    const MARGIN: Duration = Duration::from_millis(250);
    RecoveryOptions {
        sweep_after: settings.sweep_after,
        settle_time: confirm_counts_for(settings) + MARGIN,
        reconcile_interval: settings.reconcile_interval,
    }
}

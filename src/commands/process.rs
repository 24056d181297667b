//! What a process makes of its stores: the prepared ledger, its heartbeat, its readiness and what
//! sells, with the tasks that keep them true.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{preparation::Preparation, settings::Settings, stores::Connected};
use crate::checkout::{Checkout, SaleReader};
use crate::domain::SystemId;
use crate::observability::readiness::{Readiness, ServiceProbe};
use crate::observability::registry::{HeartbeatSender, Role};
use crate::outbox::Publisher;
use crate::runtime::error_chain;
use crate::stores::{EpochWatch, SalesProbe, SalesWatch, Stores, watch_ledger};

impl Connected {
    /// Migrates the ledger, proves that it is this system's, and adds products. Fails if
    /// it has none then.
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

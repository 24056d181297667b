//! The processes: the product's own parts, wired as `serve` and `work` wire them.

use std::time::Duration;

use flashsale::{
    checkout::{Checkout, CheckoutOptions, SaleReader},
    domain::{Catalogue, Product},
    observability::{Dependency, Telemetry},
    outbox::Publisher,
    recovery::{Recovery, RecoveryOptions},
    runtime::{Backoff, Runtime},
    stores::{EpochWatch, LedgerCatalogue, SalesWatch, Stores},
    worker::{Worker, WorkerOptions},
};
use tokio_util::sync::CancellationToken;

use crate::{executor::Pid, plan::Plan, sim::Sim};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Serve,
    Work,
}

/// What the world knows of a running process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) role: Role,
    /// Sells, in a `serve` process.
    pub(crate) checkout: Option<Checkout>,
    pub(crate) stop: CancellationToken,
}

const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the tasks of `flashsale serve`.
pub(crate) fn serve(sim: &Sim, pid: Pid, stores: &Stores, runtime: &Runtime, product: &Product) -> Process {
    let telemetry = Telemetry::new(runtime.clock.clone());
    let (publisher, task) = Publisher::new(stores.broker.clone(), runtime);
    sim.executor.spawn(pid, task.run());
    let options = CheckoutOptions { confirm_timeout: CONFIRM_TIMEOUT, in_flight_max: 1_000 };
    let reader = SaleReader::new(stores, runtime);
    let (epochs, stop) = (EpochWatch::new(stores, runtime), CancellationToken::new());
    sim.executor.spawn(pid, epochs.clone().run(stop.clone()));
    let catalogue = Catalogue::new(vec![product.clone()]).expect("a catalogue");
    let sales = SalesWatch::new(&stores.admission, &LedgerCatalogue::new(catalogue, None));
    let checkout = Checkout::new(reader, publisher, epochs, sales, options, runtime, &telemetry.meter);
    sim.executor.spawn(pid, prepare(stores.clone(), product.clone(), runtime.clone()));
    Process { pid, role: Role::Serve, checkout: Some(checkout), stop }
}

/// Starts the tasks of `flashsale work`.
pub(crate) fn work(
    sim: &Sim,
    pid: Pid,
    stores: &Stores,
    runtime: &Runtime,
    (product, plan): (&Product, &Plan),
) -> Process {
    let telemetry = Telemetry::new(runtime.clock.clone());
    let options =
        RecoveryOptions { sweep_after: plan.sweep_after, reconcile_interval: Duration::from_secs(15) };
    let stop = CancellationToken::new();
    let recovery = Recovery::new(stores.clone(), telemetry.clone(), options, runtime);
    let state = Dependency::new(stores.ledger.name(), &runtime.clock);
    let lane = |_| {
        let linger = if plan.lanes == 1 { Duration::ZERO } else { Duration::from_millis(5) };
        let options = WorkerOptions { lanes: plan.lanes as usize, batch_items_max: 1_000, linger };
        Worker::new(stores.clone(), telemetry.clone(), options, state.clone(), runtime)
    };
    let lanes: Vec<_> = (0..plan.lanes).map(lane).collect();
    let preparing = prepare(stores.clone(), product.clone(), runtime.clone());
    let (executor, background) = (sim.executor.clone(), stop.clone());
    sim.executor.spawn(pid, async move {
        preparing.await;
        executor.spawn(pid, recovery.run(background.clone()));
        for lane in lanes {
            executor.spawn(pid, lane.run(background.clone()));
        }
    });
    Process { pid, role: Role::Work, checkout: None, stop }
}

/// Adds the product, once the ledger can be reached.
async fn prepare(stores: Stores, product: Product, runtime: Runtime) {
    let mut backoff = Backoff::of_reconnects(&runtime);
    let products = [product];
    while stores.ledger.add_products(&products).await.is_err() {
        backoff.wait().await;
    }
}

//! Reads the process registry and the stores once a second, however many clients the console has.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::join;
use serde::{Serialize, Serializer};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    history::{History, Point},
    merge,
    pace::PaceMeter,
    sales::{STORE_TIMEOUT, SaleReading, SalesReader},
    snapshot::{Percentiles, ProcessView, ProductView, Snapshot, Totals},
    verdict::Verdict,
};
use crate::domain::{Conservation, Product, SaleState};
use crate::observability::registry::{KnownProcess, Liveness, ProcessRegistry, RegistryError, Window};
use crate::observability::{Durations, Telemetry};
use crate::runtime::{Clock, tasks::Tasks};
use crate::stores::{LedgerCatalogue, Stores};

const INTERVAL: Duration = Duration::from_secs(1);
/// Polls in a row until dead letters are missing: `flashsale dead-letters` holds
/// messages for a moment.
const MISSING_POLLS: u32 = 15;

/// Keeps the latest snapshot and the history. Clones share them.
#[derive(Clone, Debug)]
pub struct Monitor {
    latest: Arc<RwLock<Latest>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Latest {
    snapshot: Arc<Snapshot>,
    history: History,
}

/// What the console shows, as page and as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) verdict: Verdict,
    #[serde(flatten, serialize_with = "serialize_shared")]
    pub(super) snapshot: Arc<Snapshot>,
    history: History,
}

fn serialize_shared<S: Serializer>(snapshot: &Arc<Snapshot>, serializer: S) -> Result<S::Ok, S::Error> {
    snapshot.serialize(serializer)
}

impl Monitor {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { latest: Arc::default(), clock }
    }

    /// Starts to poll, until `stop`.
    pub fn start(
        &self,
        catalogue: LedgerCatalogue,
        stores: Stores,
        telemetry: Telemetry,
        registry: ProcessRegistry,
        tasks: &Tasks,
        stop: &CancellationToken,
    ) {
        let (liveness, sales) = (Liveness::new(telemetry.clock()), SalesReader::default());
        let pace = PaceMeter::default();
        let poller =
            Poller { catalogue, stores, telemetry, registry, liveness, sales, pace, dead_letters_missing: 0 };
        tasks.spawn("the console's monitor", stop, poller.run(self.clone(), stop.clone()));
    }

    /// The latest snapshot, with the history after a time (milliseconds since 1970).
    pub(super) fn status(&self, since: i64) -> Status {
        let (snapshot, history) = {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            (latest.snapshot.clone(), latest.history.after(since))
        };
        // Of this moment: a snapshot that is too old is a finding.
        let verdict = Verdict::new(&snapshot, self.clock.now().timestamp_millis());
        Status { verdict, snapshot, history }
    }

    fn publish(&self, snapshot: Snapshot) {
        let point = Point::from(&snapshot);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        latest.snapshot = Arc::new(snapshot);
        latest.history.add(point);
    }
}

/// What is kept from poll to poll.
struct Poller {
    catalogue: LedgerCatalogue,
    stores: Stores,
    telemetry: Telemetry,
    registry: ProcessRegistry,
    liveness: Liveness,
    sales: SalesReader,
    pace: PaceMeter,
    /// Polls in a row in which the dead-letter queue had fewer messages than admission has marks.
    dead_letters_missing: u32,
}

impl Poller {
    async fn run(mut self, monitor: Monitor, stop: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = stop.cancelled() => return,
            }
            monitor.publish(self.poll().await);
        }
    }

    async fn poll(&mut self) -> Snapshot {
        let at = self.telemetry.clock().now().timestamp_millis();
        let depths = timeout(STORE_TIMEOUT, self.stores.broker.depths());
        let heartbeats = timeout(STORE_TIMEOUT, self.registry.read());
        let (depths, heartbeats) = join(depths, heartbeats).await;
        let queue = depths.ok().and_then(Result::ok).flatten();
        let heartbeats = heartbeats.unwrap_or(Err(RegistryError::Timeout));
        let trouble = self.liveness.update(heartbeats, &self.registry, &self.telemetry.events);
        let processes = self.liveness.processes();
        let up = || processes.iter().filter(|process| process.is_up()).map(|process| &process.heartbeat);

        let catalogue = self.catalogue.current();
        let readings = self.sales.read(&self.stores, &self.telemetry, catalogue.products()).await;
        // Compared with the queue of the same moment, while no message is on its way to a worker.
        let dead: u64 =
            readings.iter().filter_map(|reading| reading.sale.as_ref()).map(|sale| sale.dead).sum();
        let idle = queue.filter(|queue| queue.purchases == 0);
        let missing = idle.map_or(0, |queue| dead.saturating_sub(queue.dead.into()));
        self.dead_letters_missing = if missing > 0 { self.dead_letters_missing.saturating_add(1) } else { 0 };
        let views = catalogue.products().iter().zip(readings).map(|(product, reading)| {
            let windows = up().filter_map(|heartbeat| heartbeat.products.get(product.id.as_str()));
            view(product, reading, totals(windows))
        });
        let products: Vec<_> = views.collect();
        let laws: Option<Vec<_>> = products.iter().map(|product| product.conservation.as_ref()).collect();
        let conservation = laws.map(|laws| Conservation::sum(laws.into_iter()));
        Snapshot {
            at,
            embedded: !self.stores.admission.outlives_process(),
            trouble,
            pace: self.pace.measure(&products),
            adds_up: products.iter().map(|product| product.adds_up).reduce(both).flatten(),
            conservation,
            dead_letters_missing: if self.dead_letters_missing >= MISSING_POLLS { missing } else { 0 },
            total: totals(up().flat_map(|heartbeat| heartbeat.products.values())),
            products,
            queue,
            dependencies: merge::dependencies(up()),
            processes: process_views(&processes),
            events: merge::events(processes.iter().map(|process| &process.heartbeat)),
        }
    }
}

/// Whether two sums add up: if one does not, the other need not be known.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn view(product: &Product, reading: SaleReading, totals: Totals) -> ProductView {
    let SaleReading { sale, outbox_age, conservation, adds_up, trouble } = reading;
    let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
    let (opens_at, closes_at) = match &sale {
        Some(sale) => (sale.terms.opens_at, sale.terms.closes_at),
        None => (product.sale_start, product.sale_end),
    };
    let (conservation, counted_at) = conservation.unzip();
    ProductView {
        id: product.id.to_string(),
        name: product.name.clone(),
        phase: sale.as_ref().map(SaleState::phase),
        trouble,
        opens_at: millis(opens_at),
        closes_at: millis(closes_at),
        total_stock: sale.as_ref().map(|sale| sale.terms.total_stock),
        remaining: sale.as_ref().map(|sale| sale.remaining),
        in_flight: sale.as_ref().map(|sale| sale.in_flight),
        outbox_age_ms: outbox_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        conservation,
        counted_at,
        adds_up,
        totals,
    }
}

fn totals<'window>(windows: impl Iterator<Item = &'window Window>) -> Totals {
    let mut total = Totals::default();
    let [mut admission, mut answer, mut recording] = [(); 3].map(|()| Durations::default());
    for window in windows {
        for (attempt, per_s) in &window.per_s {
            *total.attempts_per_s.entry(*attempt).or_default() += (per_s * 10.0).round() / 10.0;
        }
        for (attempt, number) in &window.attempts {
            *total.attempts.entry(*attempt).or_default() += number;
        }
        admission.add(&Durations::from_pairs(&window.admission));
        answer.add(&Durations::from_pairs(&window.answer));
        recording.add(&Durations::from_pairs(&window.recording));
    }
    let [admission, answer, recording] = [&admission, &answer, &recording].map(Percentiles::from);
    Totals { admission, answer, recording, ..total }
}

fn process_views(processes: &[KnownProcess]) -> Vec<ProcessView> {
    let view = |process: &KnownProcess| {
        let heartbeat = &process.heartbeat;
        let rates = heartbeat.products.values().flat_map(|window| window.per_s.values());
        ProcessView {
            name: heartbeat.name(),
            role: heartbeat.role,
            version: heartbeat.version.clone(),
            started_at: heartbeat.started_at,
            silent_ms: u64::try_from(process.silent.as_millis()).unwrap_or(u64::MAX),
            is_up: process.is_up(),
            is_ready: heartbeat.is_ready(),
            attempts_per_s: if process.is_up() { rates.sum::<f64>().round() } else { 0.0 },
            checks: heartbeat.checks.clone(),
        }
    };
    let mut views: Vec<_> = processes.iter().filter(|process| process.is_listed()).map(view).collect();
    views.sort_by(|one, other| (one.role, &one.name).cmp(&(other.role, &other.name)));
    views
}

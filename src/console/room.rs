//! Looks at everything once a second, however many watch.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::join;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    History, Point, merge,
    sales::{PATIENCE, SaleLook, Sales},
    snapshot::{Percentiles, ProcessView, ProductView, Snapshot, Totals},
};
use crate::domain::{Catalogue, Conservation, Product, SaleState};
use crate::observability::registry::{Noticeboard, NoticeboardError, Presence, Present, Window};
use crate::observability::{Durations, Telemetry};
use crate::runtime::Clock;
use crate::stores::Stores;

const INTERVAL: Duration = Duration::from_secs(1);
/// So many looks in a row in which letters are missing: whoever holds them, holds them for a moment.
const LETTERS_MISSING_LOOKS: u32 = 15;

/// The operations console: keeps the latest [`Snapshot`]. Clones share it.
#[derive(Clone, Debug)]
pub struct ControlRoom {
    latest: Arc<RwLock<Latest>>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Debug, Default)]
struct Latest {
    snapshot: Arc<Snapshot>,
    history: History,
}

impl ControlRoom {
    /// With nothing seen yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { latest: Arc::default(), clock }
    }

    /// Starts looking, until `stop`.
    pub fn open(
        &self,
        catalogue: Catalogue,
        stores: Stores,
        telemetry: Telemetry,
        noticeboard: Noticeboard,
        stop: CancellationToken,
    ) {
        let (presence, sales) = (Presence::default(), Sales::default());
        let watch = Watch { catalogue, stores, telemetry, noticeboard, presence, sales, letters_missing: 0 };
        tokio::spawn(watch.run(self.clone(), stop));
    }

    /// The clock by which looks are dated.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The latest look.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// The latest look, and the points of the history after a time (milliseconds since 1970).
    pub fn since(&self, millis: i64) -> (Arc<Snapshot>, History) {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        (latest.snapshot.clone(), latest.history.after(millis))
    }

    fn show(&self, snapshot: Snapshot) {
        let point = Point::of(&snapshot);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        latest.snapshot = Arc::new(snapshot);
        latest.history.add(point);
    }
}

/// What is remembered from look to look.
struct Watch {
    catalogue: Catalogue,
    stores: Stores,
    telemetry: Telemetry,
    noticeboard: Noticeboard,
    presence: Presence,
    sales: Sales,
    /// Looks in a row in which the dead-letter queue had fewer letters than admission knows of.
    letters_missing: u32,
}

impl Watch {
    async fn run(mut self, room: ControlRoom, stop: CancellationToken) {
        let mut turns = tokio::time::interval(INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = stop.cancelled() => return,
            }
            room.show(self.look().await);
        }
    }

    async fn look(&mut self) -> Snapshot {
        let at = self.telemetry.clock().now().timestamp_millis();
        let asking = timeout(PATIENCE, self.stores.broker.depths());
        let reading = timeout(PATIENCE, self.noticeboard.read());
        let (depths, reports) = join(asking, reading).await;
        let queue = depths.ok().and_then(Result::ok).flatten();
        let reports = reports.unwrap_or(Err(NoticeboardError::Silent));
        let events = &self.telemetry.events;
        let trouble = self.presence.take(reports, &self.noticeboard, events);
        let present = self.presence.present();
        let up: Vec<_> = present.iter().filter(|one| one.is_up()).map(|one| &one.report).collect();

        let looks = self.sales.look(&self.stores, &self.telemetry, self.catalogue.products()).await;
        // Of the same moment as the queue: letters that are not there, and not on their way to a worker.
        let dead: u64 = looks.iter().filter_map(|look| look.sale.as_ref()).map(|sale| sale.dead).sum();
        let settled = queue.filter(|queue| queue.purchases == 0);
        let missing = settled.map_or(0, |queue| dead.saturating_sub(queue.dead.into()));
        self.letters_missing = if missing > 0 { self.letters_missing.saturating_add(1) } else { 0 };
        let views = self.catalogue.products().iter().zip(looks).map(|(product, look)| {
            let windows = up.iter().filter_map(|report| report.products.get(product.id.as_str()));
            view(product, look, totals(windows))
        });
        let products: Vec<_> = views.collect();
        let laws: Option<Vec<_>> = products.iter().map(|product| product.conservation.as_ref()).collect();
        let conservation = laws.map(|laws| Conservation::sum(laws.into_iter()));
        Snapshot {
            at,
            embedded: !self.stores.admission.outlives_process(),
            trouble,
            adds_up: products.iter().map(|product| product.adds_up).reduce(both).flatten(),
            conservation,
            letters_missing: if self.letters_missing >= LETTERS_MISSING_LOOKS { missing } else { 0 },
            total: totals(up.iter().flat_map(|report| report.products.values())),
            products,
            queue,
            dependencies: merge::dependencies(up.iter().copied()),
            processes: processes(&present),
            events: merge::events(present.iter().map(|one| &one.report)),
        }
    }
}

/// Whether both add up: one that does not is enough to know that they don't.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn view(product: &Product, look: SaleLook, totals: Totals) -> ProductView {
    let SaleLook { sale, outbox_age, conservation, adds_up, trouble } = look;
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
        remaining: sale.as_ref().map(|sale| sale.remaining),
        in_flight: sale.as_ref().map(|sale| sale.in_flight),
        outbox_age_ms: outbox_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        conservation,
        counted_at,
        adds_up,
        totals,
    }
}

/// The sum of what processes counted.
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

fn processes(present: &[Present]) -> Vec<ProcessView> {
    let view = |one: &Present| {
        let rates = one.report.products.values().flat_map(|window| window.per_s.values());
        let report = &one.report;
        ProcessView {
            name: report.name(),
            role: report.role,
            version: report.version.clone(),
            started_at: report.started_at,
            silent_ms: u64::try_from(one.silent.as_millis()).unwrap_or(u64::MAX),
            is_up: one.is_up(),
            is_ready: report.is_ready(),
            attempts_per_s: if one.is_up() { rates.fold(0.0, |sum, per_s| sum + per_s).round() } else { 0.0 },
            checks: report.checks.clone(),
        }
    };
    let mut views: Vec<_> = present.iter().filter(|one| one.is_shown()).map(view).collect();
    views.sort_by(|one, other| (one.role, &one.name).cmp(&(other.role, &other.name)));
    views
}

impl Point {
    fn of(snapshot: &Snapshot) -> Self {
        let Totals { attempts_per_s, admission, answer, recording, .. } = &snapshot.total;
        Self {
            at: snapshot.at,
            attempts_per_s: attempts_per_s.clone(),
            admission: *admission,
            answer: *answer,
            recording: *recording,
            in_flight: snapshot.products.iter().map(|product| product.in_flight).sum(),
            queued: snapshot.queue.map(|queue| queue.purchases),
        }
    }
}

//! Looks at everything once a second, however many watch.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    Conservation, History, Noticeboard, Report, Window,
    history::Point,
    snapshot::{self, Percentiles, ProcessView, ProductView, Rates, Snapshot, Totals},
};
use crate::domain::{Catalogue, EntryId, Phase, Product, ProductId, SaleState};
use crate::telemetry::{Attempt, Durations, EventKind};
use crate::worker::Stores;

const INTERVAL: Duration = Duration::from_secs(1);
/// A process that has not reported for so long does not count as being up.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// Counting rows takes at most this share of the ledger's time.
const COUNTING_SHARE_MAX: u32 = 20;

/// The control room: keeps the latest [`Snapshot`]. Clones share it.
#[derive(Clone, Debug)]
pub struct ControlRoom {
    latest: Arc<RwLock<Arc<Snapshot>>>,
}

impl ControlRoom {
    /// Starts looking, until `stop`.
    pub fn open(
        catalogue: Catalogue,
        stores: Stores,
        noticeboard: Noticeboard,
        stop: CancellationToken,
    ) -> Self {
        let room = Self { latest: Arc::default() };
        let watch = Watch {
            catalogue,
            stores,
            noticeboard,
            reports: Vec::new(),
            sales: HashMap::new(),
            readable_since: None,
            seen: None,
            lost: HashSet::new(),
            history: History::default(),
        };
        tokio::spawn(watch.run(room.clone(), stop));
        room
    }

    /// The latest look.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is remembered from look to look.
struct Watch {
    catalogue: Catalogue,
    stores: Stores,
    noticeboard: Noticeboard,
    /// The reports that were read last: while Redis is away they are all there is.
    reports: Vec<(Instant, Report)>,
    sales: HashMap<ProductId, Seen>,
    /// Since when the noticeboard can be read.
    readable_since: Option<Instant>,
    /// The processes that have been seen; `None`: nobody has looked yet.
    seen: Option<HashSet<String>>,
    /// Those of them that do not report any more.
    lost: HashSet<String>,
    history: History,
}

/// What was seen of a sale.
#[derive(Clone, Debug, Default)]
struct Seen {
    phase: Option<Phase>,
    /// When the rows may be counted again.
    count_at: Option<Instant>,
    conservation: Option<Conservation>,
    /// Looks in a row in which the units did not add up.
    broken: u32,
    /// Whether that was noted.
    noted: bool,
}

/// What the stores say of a sale.
struct Look {
    sale: Result<SaleState, String>,
    conservation: Result<Option<Conservation>, String>,
    outbox_age: Option<Duration>,
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
            let snapshot = Arc::new(self.look().await);
            *room.latest.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
    }

    async fn look(&mut self) -> Snapshot {
        let now = self.stores.telemetry.clock().now();
        let queue = self.stores.broker.depths().await.ok().flatten();
        self.read_reports().await;
        let up: Vec<_> =
            self.reports.iter().filter(|(at, _)| is_up(*at)).map(|(_, report)| report.clone()).collect();
        let mut products = Vec::new();
        for product in self.catalogue.products().to_vec() {
            let count = self
                .sales
                .get(&product.id)
                .and_then(|seen| seen.count_at)
                .is_none_or(|at| at <= Instant::now());
            let (look, counting) = look_at(&self.stores, &product.id, count).await;
            let totals = totals(up.iter().filter_map(|report| report.products.get(product.id.as_str())));
            products.push(self.view(&product, look, counting, totals));
        }
        let total = totals(up.iter().flat_map(|report| report.products.values()));
        self.history.add(point(now, &total, &products, queue.map(|queue| queue.purchases)));
        let reports: Vec<_> = self.reports.iter().map(|(_, report)| report.clone()).collect();
        Snapshot {
            at: now.timestamp_millis(),
            total,
            products,
            queue,
            dependencies: snapshot::dependencies(up.iter()),
            processes: processes(&self.reports),
            events: snapshot::events(&reports),
            history: self.history.clone(),
        }
    }

    async fn read_reports(&mut self) {
        match self.noticeboard.read().await {
            Ok(reports) => {
                let at = |age| Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                self.reports = reports.into_iter().map(|(age, report)| (at(age), report)).collect();
                let readable_since = *self.readable_since.get_or_insert_with(Instant::now);
                // Those that could not post either need a moment to come back.
                if self.seen.is_none() || readable_since.elapsed() > SILENT_MAX {
                    self.note_processes();
                }
            }
            Err(error) => {
                tracing::debug!(%error, "only this process's own report is new");
                self.readable_since = None;
                if let Some(mine) = self.noticeboard.mine() {
                    self.reports.retain(|(_, report)| report.id != mine.1.id);
                    self.reports.push(mine);
                }
            }
        }
    }

    /// What is shown of a product, and what is notable of it.
    fn view(&mut self, product: &Product, look: Look, counting: Duration, totals: Totals) -> ProductView {
        let events = &self.stores.telemetry.events;
        let seen = self.sales.entry(product.id.clone()).or_default();
        let Look { sale, conservation, outbox_age } = look;
        let phase = sale.as_ref().ok().map(SaleState::phase);
        if let (Some(before), Some(now)) = (seen.phase, phase)
            && let Some(kind) = notable(before, now)
        {
            events.note(kind, product.id.as_str(), product.name.as_str());
        }
        seen.phase = phase.or(seen.phase);
        if let Ok(Some(law)) = &conservation {
            seen.broken = if law.holds() { 0 } else { seen.broken + 1 };
            seen.count_at = Some(Instant::now() + counting * COUNTING_SHARE_MAX);
        }
        // Two looks in a row: a conflict that is being settled right now is out of place for a moment.
        let adds_up = seen.broken < 2;
        if let (Ok(Some(law)), true) = (&conservation, seen.noted == adds_up) {
            let (kind, text) = if adds_up {
                (EventKind::LawHolds, String::new())
            } else {
                (EventKind::LawBroken, format!("{} missing, {} too many", law.missing, law.surplus))
            };
            events.note(kind, product.id.as_str(), text);
            seen.noted = !adds_up;
        }
        let (conservation, trouble) = match (sale.as_ref(), conservation) {
            (Err(trouble), _) => (None, Some(trouble.clone())),
            (Ok(_), Err(trouble)) => (None, Some(trouble)),
            // Not counted in this look.
            (Ok(_), Ok(None)) => (seen.conservation.clone(), None),
            (Ok(_), Ok(law)) => (law, None),
        };
        seen.conservation.clone_from(&conservation);
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        let terms = sale.ok().map(|sale| sale.terms);
        ProductView {
            id: product.id.to_string(),
            name: product.name.clone(),
            phase,
            trouble,
            opens_at: terms.as_ref().map_or(millis(product.sale_start), |terms| millis(terms.opens_at)),
            closes_at: terms.as_ref().map_or(millis(product.sale_end), |terms| millis(terms.closes_at)),
            adds_up: conservation.as_ref().map(|_| adds_up),
            conservation,
            outbox_age_ms: outbox_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            totals,
        }
    }

    /// Notes who has come, and who is gone without a word. (Whoever says goodbye takes the report off.)
    fn note_processes(&mut self) {
        let events = &self.stores.telemetry.events;
        if self.reports.is_empty() {
            return;
        }
        let is_first = self.seen.is_none();
        let seen = self.seen.get_or_insert_default();
        for (at, report) in &self.reports {
            if !is_up(*at) {
                if self.lost.insert(report.id.clone()) && !is_first {
                    events.note(EventKind::ProcessLost, report.name(), "it does not report any more");
                }
            } else if self.lost.remove(&report.id) {
                events.note(EventKind::ProcessJoined, report.name(), "it reports again");
            } else if seen.insert(report.id.clone()) && !is_first {
                events.note(EventKind::ProcessJoined, report.name(), format!("version {}", report.version));
            }
        }
    }
}

fn is_up(reported_at: Instant) -> bool {
    reported_at.elapsed() <= SILENT_MAX
}

/// Asks the stores; how long the rows took to be counted. `count`: whether they are.
async fn look_at(stores: &Stores, product: &ProductId, count: bool) -> (Look, Duration) {
    let told = |error: &dyn std::error::Error| error.to_string();
    let before = match stores.gate.sale(product).await {
        Ok(sale) => sale,
        Err(error) => {
            let sale = Err(told(&error));
            return (Look { sale, conservation: Ok(None), outbox_age: None }, Duration::ZERO);
        }
    };
    let (mut counting, mut conservation, mut sale) = (Duration::ZERO, Ok(None), Ok(before.clone()));
    if count {
        let began = Instant::now();
        let rows = stores.ledger.count(product).await;
        counting = began.elapsed();
        match (rows, stores.gate.sale(product).await) {
            (Ok(rows), Ok(after)) => {
                // A rebuild in between has begun everything anew.
                conservation =
                    Ok((before.epoch == after.epoch).then(|| Conservation::new(&before, rows, &after)));
                sale = Ok(after);
            }
            (Err(error), _) => conservation = Err(told(&error)),
            (_, Err(error)) => sale = Err(told(&error)),
        }
    }
    let oldest = stores.gate.outbox(product, EntryId::FIRST, EntryId::LAST, 1).await.ok();
    let age = oldest.map(|entries| {
        let age = entries.first().map(|entry| before.now - entry.purchase.admitted_at);
        age.and_then(|age| age.to_std().ok()).unwrap_or_default()
    });
    (Look { sale, conservation, outbox_age: age }, counting)
}

/// The event of a change of phase, if it is one.
fn notable(before: Phase, now: Phase) -> Option<EventKind> {
    if before == now {
        return None;
    }
    Some(match now {
        Phase::Active => EventKind::Opened,
        Phase::SoldOut => EventKind::SoldOut,
        Phase::Paused => EventKind::Paused,
        Phase::Ended => EventKind::Ended,
        Phase::Upcoming => return None,
    })
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

fn point(now: DateTime<Utc>, total: &Totals, products: &[ProductView], queued: Option<u32>) -> Point {
    let in_flight = |product: &ProductView| product.conservation.as_ref().map(|law| law.in_flight);
    Point {
        at: now.timestamp_millis(),
        attempts_per_s: total.attempts_per_s.clone(),
        admission: total.admission,
        answer: total.answer,
        recording: total.recording,
        in_flight: products.iter().map(in_flight).sum(),
        queued,
    }
}

fn processes(reports: &[(Instant, Report)]) -> Vec<ProcessView> {
    let view = |(at, report): &(Instant, Report)| {
        let windows = report.products.values();
        let rates = windows.fold(BTreeMap::<Attempt, f64>::new(), |mut rates: Rates, window| {
            window.per_s.iter().for_each(|(attempt, per_s)| *rates.entry(*attempt).or_default() += per_s);
            rates
        });
        ProcessView {
            name: report.name(),
            role: report.role,
            version: report.version.clone(),
            started_at: report.started_at,
            silent_ms: u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX),
            is_up: is_up(*at),
            is_ready: report.is_ready(),
            attempts_per_s: if is_up(*at) {
                rates.values().fold(0.0, |sum, per_s| sum + per_s).round()
            } else {
                0.0
            },
            checks: report.checks.clone(),
        }
    };
    let mut views: Vec<_> = reports.iter().map(view).collect();
    views.sort_by(|one, other| (one.role, &one.name).cmp(&(other.role, &other.name)));
    views
}

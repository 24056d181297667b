//! Reads the state of each sale, and checks whether its units add up.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    task::JoinHandle,
    time::{timeout, timeout_at},
};

use super::phase_events::phase_events;
use crate::audit::{GatherError, running_conservation};
use crate::domain::{Conservation, EntryId, Phase, Product, ProductId, SaleState};
use crate::observability::{EventKind, Telemetry};
use crate::runtime::{Clock, error_chain};
use crate::stores::Stores;

/// Timeout of a poll for each store.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// A count that takes longer is reported.
const COUNTING_LATE: Duration = Duration::from_secs(10);
/// The pause after a count, as a multiple of the time that it took, and at most.
const COUNTING_PAUSE: u32 = 20;
const COUNTING_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The shortest pause after a count that failed.
const COUNTING_PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// A sale, as one poll knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct SaleReading {
    /// Admission's state. `None`: it can't be read.
    pub(super) sale: Option<SaleState>,
    /// Age of the oldest purchase in the outbox.
    pub(super) outbox_age: Option<Duration>,
    /// The units, and when they were counted (milliseconds since 1970).
    pub(super) conservation: Option<(Conservation, i64)>,
    /// `None`: not known, or a difference that was found once and is to be counted again.
    pub(super) adds_up: Option<bool>,
    /// Why something is not known.
    pub(super) trouble: Option<String>,
}

/// What is kept of the sales from poll to poll.
#[derive(Debug, Default)]
pub(super) struct SalesReader(HashMap<ProductId, SaleReader>);

#[derive(Debug, Default)]
struct SaleReader {
    phase: Option<Phase>,
    /// The count that is under way, and since when. It is never cancelled, because PostgreSQL would
    /// go on with the query.
    counting: Option<(Instant, JoinHandle<Count>)>,
    next_count_at: Option<Instant>,
    conservation: Option<(Conservation, i64)>,
    /// Counts in a row in which the units did not add up.
    broken: u32,
    /// Whether the last event was [`EventKind::LawBroken`].
    broken_noted: bool,
    /// Why the last count failed.
    count_error: Option<String>,
}

/// A count of rows, with admission read before and after.
#[derive(Debug)]
struct Count {
    took: Duration,
    /// `None`: the epoch has changed in between, or admission could not be read.
    law: Result<Option<Conservation>, String>,
}

impl SalesReader {
    /// Reads all sales concurrently.
    pub(super) async fn read(
        &mut self,
        stores: &Stores,
        telemetry: &Telemetry,
        products: &[Product],
    ) -> Vec<SaleReading> {
        let clock = telemetry.clock();
        let began = clock.instant();
        for Product { id, .. } in products {
            self.0.entry(id.clone()).or_default().count_when_due(stores, clock, id);
        }
        let states = join_all(products.iter().map(|product| read_admission(stores, &product.id))).await;
        let mut all = Vec::new();
        for (product, state) in products.iter().zip(states) {
            let reader = self.0.entry(product.id.clone()).or_default();
            reader.take_count(began, telemetry).await;
            all.push(reader.reading(telemetry, product, state));
        }
        all
    }
}

impl SaleReader {
    fn count_when_due(&mut self, stores: &Stores, clock: &Arc<dyn Clock>, product: &ProductId) {
        let now = clock.instant();
        let due = self.next_count_at.is_none_or(|at| at <= now);
        if self.counting.is_none() && due {
            let task = tokio::spawn(count(stores.clone(), clock.clone(), product.clone()));
            self.counting = Some((now, task));
        }
    }

    /// Takes the result of the count that is under way, if it has one. The poll that started the
    /// count waits for it; later polls do not.
    async fn take_count(&mut self, poll_began: Instant, telemetry: &Telemetry) {
        let Some((since, counting)) = &mut self.counting else { return };
        let wait = if *since >= poll_began { STORE_TIMEOUT } else { Duration::ZERO };
        let Ok(ended) = timeout_at((poll_began + wait).into(), counting).await else {
            let elapsed = telemetry.clock().instant() - *since;
            if elapsed > COUNTING_LATE {
                let seconds = elapsed.as_secs();
                self.count_error = Some(format!("rows have not been counted for {seconds} s: no answer yet"));
            }
            return;
        };
        self.counting = None;
        let failed =
            |error: tokio::task::JoinError| Count { took: Duration::ZERO, law: Err(error.to_string()) };
        let Count { took, law } = ended.unwrap_or_else(failed);
        let pause = COUNTING_PAUSE_MAX.min(took * COUNTING_PAUSE);
        let pause = if law.is_ok() { pause } else { pause.max(COUNTING_PAUSE_AFTER_ERROR) };
        self.next_count_at = Some(telemetry.clock().instant() + pause);
        self.count_error = law.as_ref().err().map(|error| format!("rows can't be counted: {error}"));
        match law {
            Ok(Some(law)) => {
                self.broken = if law.holds() { 0 } else { self.broken.saturating_add(1) };
                self.conservation = Some((law, telemetry.clock().now().timestamp_millis()));
            }
            Ok(None) => self.reset(),
            Err(_) => {}
        }
    }

    /// Forgets the counts of an earlier state of the sale.
    fn reset(&mut self) {
        (self.conservation, self.broken, self.next_count_at) = (None, 0, None);
    }

    fn reading(&mut self, telemetry: &Telemetry, product: &Product, state: AdmissionState) -> SaleReading {
        let events = &telemetry.events;
        let (sale, outbox_age) = match state {
            Ok(state) => state,
            Err(trouble) => {
                self.reset();
                return SaleReading { trouble: Some(trouble), ..SaleReading::default() };
            }
        };
        let phase = sale.phase();
        for kind in self.phase.map_or(&[][..], |before| phase_events(before, phase)) {
            events.note(*kind, product.id.as_str(), product.name.as_str());
        }
        if self.phase.is_none() && phase == Phase::Ended && sale.next == 0 {
            let text = format!(
                "{}: nothing was sold, and the sale was over before this process started",
                product.name
            );
            events.note(EventKind::Ended, product.id.as_str(), text);
        }
        self.phase = Some(phase);
        let known = self.conservation.clone();
        // Twice in a row, because a purchase whose conflict is being settled is in no place for a
        // moment.
        let adds_up = match self.broken {
            _ if known.is_none() || self.count_error.is_some() => None,
            0 => Some(true),
            1 => None,
            _ => Some(false),
        };
        if let (Some((law, _)), Some(adds_up)) = (&known, adds_up)
            && self.broken_noted == adds_up
        {
            let (kind, text) = if adds_up {
                (EventKind::LawHolds, String::new())
            } else {
                (EventKind::LawBroken, format!("{} missing, {} surplus", law.missing, law.surplus))
            };
            events.note(kind, product.id.as_str(), text);
            self.broken_noted = !adds_up;
        }
        let trouble = self.count_error.clone().or_else(|| clock_trouble(&sale));
        SaleReading { sale: Some(sale), outbox_age, conservation: known, adds_up, trouble }
    }
}

/// The age of entries from the future is not known.
fn clock_trouble(sale: &SaleState) -> Option<String> {
    let seconds = sale.ahead(sale.newest?)?.num_seconds();
    Some(format!("the newest purchase in the outbox is {seconds} s ahead of Redis' clock: set that right"))
}

/// A sale's state, and the age of the oldest purchase in its outbox, if that could be read.
type AdmissionState = Result<(SaleState, Option<Duration>), String>;

async fn read_admission(stores: &Stores, product: &ProductId) -> AdmissionState {
    let reading = async {
        let sale = stores.admission.sale(product).await.map_err(|error| error_chain(&error))?;
        let oldest = stores.admission.outbox(product, EntryId::FIRST, EntryId::LAST, 1).await.ok();
        let age = oldest.map(|entries| {
            let age = entries.first().map(|entry| sale.now - entry.purchase.admitted_at);
            age.and_then(|age| age.to_std().ok()).unwrap_or_default()
        });
        Ok((sale, age))
    };
    let read = timeout(STORE_TIMEOUT, reading).await;
    read.unwrap_or_else(|_elapsed| Err("admission does not answer".to_owned()))
}

async fn count(stores: Stores, clock: Arc<dyn Clock>, product: ProductId) -> Count {
    let began = clock.instant();
    let law = match running_conservation(&*stores.admission, &*stores.ledger, &product).await {
        Err(GatherError::Admission(_)) => Ok(None),
        counted => counted.map_err(|error| error_chain(&error)),
    };
    Count { took: clock.instant() - began, law }
}

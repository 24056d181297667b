//! Looks at the sales: where each stands, and whether its units add up.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    task::JoinHandle,
    time::{timeout, timeout_at},
};

use crate::domain::{Conservation, EntryId, Phase, Product, ProductId, SaleState};
use crate::observability::{EventKind, Telemetry};
use crate::stores::Stores;

/// How long a look waits for the stores.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// A count that takes longer is told of.
const COUNTING_LATE: Duration = Duration::from_secs(10);
/// After rows were counted, nothing is counted for this many times as long as that took, and for no more than this.
const COUNTING_PAUSE: u32 = 20;
const COUNTING_PAUSE_MAX: Duration = Duration::from_secs(30);
/// After they could not be counted, at least.
const COUNTING_PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// A sale, as it is known at a look.
#[derive(Clone, Debug, Default)]
pub(super) struct SaleLook {
    /// As admission has it.
    pub(super) sale: Option<SaleState>,
    /// Age of the oldest purchase in the outbox.
    pub(super) outbox_age: Option<Duration>,
    /// The units, and when they were counted last (milliseconds since 1970).
    pub(super) conservation: Option<(Conservation, i64)>,
    /// Whether they add up. `None`: not known, or about to be looked at once more.
    pub(super) adds_up: Option<bool>,
    /// Why something is not known.
    pub(super) trouble: Option<String>,
}

/// What is remembered of the sales from look to look.
#[derive(Debug, Default)]
pub(super) struct Sales(HashMap<ProductId, Seen>);

/// What was seen of a sale.
#[derive(Debug, Default)]
struct Seen {
    phase: Option<Phase>,
    /// The count that is under way, and since when. It is not cut off: half a query would be left behind.
    counting: Option<(Instant, JoinHandle<Count>)>,
    /// When the next count may begin.
    count_at: Option<Instant>,
    conservation: Option<(Conservation, i64)>,
    /// Counts in a row in which the units did not add up.
    broken: u32,
    /// Whether that was noted.
    noted: bool,
    /// Why the last count failed.
    trouble: Option<String>,
}

/// A count of rows, with admission asked before and after.
#[derive(Debug)]
struct Count {
    took: Duration,
    /// `None`: a rebuild came in between.
    law: Result<Option<Conservation>, String>,
}

impl Sales {
    /// Looks at all of them, side by side.
    pub(super) async fn look(
        &mut self,
        stores: &Stores,
        telemetry: &Telemetry,
        products: &[Product],
    ) -> Vec<SaleLook> {
        let began = Instant::now();
        for Product { id, .. } in products {
            self.0.entry(id.clone()).or_default().count_when_due(stores, id);
        }
        let looks = join_all(products.iter().map(|product| admission(stores, &product.id))).await;
        let mut all = Vec::new();
        for (product, look) in products.iter().zip(looks) {
            let seen = self.0.entry(product.id.clone()).or_default();
            seen.take_count(began, telemetry).await;
            all.push(seen.view(telemetry, product, look));
        }
        all
    }
}

impl Seen {
    fn count_when_due(&mut self, stores: &Stores, product: &ProductId) {
        let due = self.count_at.is_none_or(|at| at <= Instant::now());
        if self.counting.is_none() && due {
            let task = tokio::spawn(count(stores.clone(), product.clone()));
            self.counting = Some((Instant::now(), task));
        }
    }

    /// Takes the count that is under way, once it is there. The look that has begun with it waits for it, a later one does
    /// not.
    async fn take_count(&mut self, look_began: Instant, telemetry: &Telemetry) {
        let Some((since, counting)) = &mut self.counting else { return };
        let patience = if *since >= look_began { PATIENCE } else { Duration::ZERO };
        let Ok(ended) = timeout_at((look_began + patience).into(), counting).await else {
            let seconds = since.elapsed().as_secs();
            if since.elapsed() > COUNTING_LATE {
                self.trouble = Some(format!("rows have not been counted for {seconds} s: no answer yet"));
            }
            return;
        };
        self.counting = None;
        let failed =
            |error: tokio::task::JoinError| Count { took: Duration::ZERO, law: Err(error.to_string()) };
        let Count { took, law } = ended.unwrap_or_else(failed);
        let pause = COUNTING_PAUSE_MAX.min(took * COUNTING_PAUSE);
        let pause = if law.is_ok() { pause } else { pause.max(COUNTING_PAUSE_AFTER_ERROR) };
        self.count_at = Some(Instant::now() + pause);
        self.trouble = law.as_ref().err().map(|error| format!("rows can't be counted: {error}"));
        match law {
            Ok(Some(law)) => {
                self.broken = if law.holds() { 0 } else { self.broken.saturating_add(1) };
                self.conservation = Some((law, telemetry.clock().now().timestamp_millis()));
            }
            Ok(None) => self.forget(),
            Err(_) => {}
        }
    }

    /// What was known of the units is not of the present state any more.
    fn forget(&mut self) {
        (self.conservation, self.broken, self.count_at) = (None, 0, None);
    }

    fn view(&mut self, telemetry: &Telemetry, product: &Product, look: Admission) -> SaleLook {
        let events = &telemetry.events;
        let (sale, outbox_age) = match look {
            Ok(look) => look,
            Err(trouble) => {
                self.forget();
                return SaleLook { trouble: Some(trouble), ..SaleLook::default() };
            }
        };
        let phase = sale.phase();
        for kind in self.phase.map_or(&[][..], |before| notable(before, phase)) {
            events.note(*kind, product.id.as_str(), product.name.as_str());
        }
        self.phase = Some(phase);
        let known = self.conservation.clone();
        // Twice in a row: a conflict that is being settled right now is out of place for a moment.
        let adds_up = match self.broken {
            _ if known.is_none() || self.trouble.is_some() => None,
            0 => Some(true),
            1 => None,
            _ => Some(false),
        };
        if let (Some((law, _)), Some(adds_up)) = (&known, adds_up)
            && self.noted == adds_up
        {
            let (kind, text) = if adds_up {
                (EventKind::LawHolds, String::new())
            } else {
                (EventKind::LawBroken, format!("{} missing, {} too many", law.missing, law.surplus))
            };
            events.note(kind, product.id.as_str(), text);
            self.noted = !adds_up;
        }
        let trouble = self.trouble.clone();
        SaleLook { sale: Some(sale), outbox_age, conservation: known, adds_up, trouble }
    }
}

/// A sale's state, and the age of the oldest purchase in its outbox, if that could be had.
type Admission = Result<(SaleState, Option<Duration>), String>;

async fn admission(stores: &Stores, product: &ProductId) -> Admission {
    let asking = async {
        let sale = stores.admission.sale(product).await.map_err(|error| error.to_string())?;
        let oldest = stores.admission.outbox(product, EntryId::FIRST, EntryId::LAST, 1).await.ok();
        let age = oldest.map(|entries| {
            let age = entries.first().map(|entry| sale.now - entry.purchase.admitted_at);
            age.and_then(|age| age.to_std().ok()).unwrap_or_default()
        });
        Ok((sale, age))
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.unwrap_or_else(|_elapsed| Err("admission does not answer".to_owned()))
}

async fn count(stores: Stores, product: ProductId) -> Count {
    let began = Instant::now();
    let counting = async {
        let Ok(before) = stores.admission.sale(&product).await else { return Ok(None) };
        let rows = stores.ledger.count(&product).await.map_err(|error| error.to_string())?;
        let Ok(after) = stores.admission.sale(&product).await else { return Ok(None) };
        // A rebuild in between has begun everything anew.
        Ok((before.epoch == after.epoch).then(|| Conservation::between(&before, rows, &after)))
    };
    let law = counting.await;
    Count { took: began.elapsed(), law }
}

/// The events of a change of phase.
fn notable(before: Phase, now: Phase) -> &'static [EventKind] {
    use EventKind::{Ended, OnSaleAgain, Opened, Paused, Resumed, SoldOut};
    match (before, now) {
        (Phase::Upcoming | Phase::Ended, Phase::Active) => &[Opened],
        // All of it was gone between two looks.
        (Phase::Upcoming | Phase::Ended, Phase::SoldOut) => &[Opened, SoldOut],
        (Phase::Paused, Phase::Active) => &[Resumed],
        (Phase::Paused, Phase::SoldOut) => &[Resumed, SoldOut],
        (Phase::SoldOut, Phase::Active) => &[OnSaleAgain],
        (Phase::Active, Phase::SoldOut) => &[SoldOut],
        (Phase::Upcoming | Phase::Active | Phase::SoldOut | Phase::Ended, Phase::Paused) => &[Paused],
        (Phase::Upcoming | Phase::Active | Phase::SoldOut | Phase::Paused, Phase::Ended) => &[Ended],
        (_, Phase::Upcoming)
        | (Phase::Active, Phase::Active)
        | (Phase::SoldOut, Phase::SoldOut)
        | (Phase::Paused, Phase::Paused)
        | (Phase::Ended, Phase::Ended) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_that_sells_out_between_two_looks_has_opened_first() {
        assert_eq!(notable(Phase::Upcoming, Phase::SoldOut), [EventKind::Opened, EventKind::SoldOut]);
        assert_eq!(notable(Phase::SoldOut, Phase::Active), [EventKind::OnSaleAgain]);
        assert_eq!(notable(Phase::Paused, Phase::Active), [EventKind::Resumed]);
        assert_eq!(notable(Phase::Active, Phase::Active), []);
    }
}

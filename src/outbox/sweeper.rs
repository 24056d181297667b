//! Sends again what the outbox still holds: purchases whose publish failed, was not confirmed, or
//! whose process died in between.
//!
//! An entry is sent again when it reaches an age of 5 s (by default), then at four times that age,
//! and so on. Ages are those that this process has observed, whatever admission's clock says, and
//! so begin at zero when the process becomes the leader. There is no state per entry: for each age
//! there is a mark up to which the stream has been swept. A mark moves only over what the broker
//! has confirmed, and moves the marks of all smaller ages with it, so that after an outage every
//! entry goes out once, not once for each age that it passed meanwhile. A new connection to the
//! broker resets the marks: what was confirmed on an earlier one may be lost. So does a queue that
//! is empty while entries of the first age are there: it was deleted or purged under connections
//! that lived on, and was declared anew since, or workers hold what was in it.
//!
//! What was sent before and is in the ledger by now is settled instead of being sent again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::observed::Observed;
use crate::admission::AdmissionError;
use crate::broker::{BrokerError, Depths};
use crate::domain::{Entry, EntryId, ProductId, SaleState};
use crate::runtime::{Runtime, crash_points::crash_point, error_chain};
use crate::stores::Stores;

/// Ages at which an entry is sent again: 1, 4, 16, … times the first.
const AGES: usize = 6;
/// Entries read, and sent as one message, at a time.
const PAGE: usize = 500;
/// Shortest time between two resets of the marks, for a broker whose connection flaps.
const RESET_INTERVAL_MIN: Duration = Duration::from_secs(30);
/// Pages of one sweep, so that one product does not hold up the others.
const PAGES_MAX: usize = 40;

/// Why a sweep ended early. The next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("the outbox can't be read")]
    Admission(#[from] AdmissionError),
    #[error("the broker did not take what was swept")]
    Broker(#[from] BrokerError),
}

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that were published again.
    pub sent: usize,
    /// Entries that the ledger has.
    pub settled: usize,
}

/// Sweeps the outboxes of all products.
#[derive(Debug)]
pub struct Sweeper {
    stores: Stores,
    first_age: Duration,
    marks: HashMap<ProductId, Marks>,
    runtime: Runtime,
}

#[derive(Debug)]
struct Marks {
    epoch: u64,
    /// For each age: which entries have reached it.
    observed: [Observed; AGES],
    /// For each age: up to which entry the stream was swept.
    swept: [EntryId; AGES],
    /// When the mark of the greatest age is reset, so that the oldest entries are swept once more.
    again_at: Instant,
    /// The broker's generation at the latest reset of all marks.
    generation: u64,
    reset_at: Instant,
    is_ahead: bool,
}

impl Marks {
    /// Whether entries that are there were sent, and are not due again yet.
    fn are_swept_up_to(&self, due: EntryId) -> bool {
        due > EntryId::FIRST && self.swept[0] >= due
    }
}

impl Sweeper {
    /// Sends entries again from the age of `first_age` on.
    pub fn new(stores: Stores, first_age: Duration, runtime: &Runtime) -> Self {
        Self { stores, first_age, marks: HashMap::new(), runtime: runtime.clone() }
    }

    fn age(&self, level: usize) -> Duration {
        self.first_age * 4_u32.pow(u32::try_from(level).unwrap_or(0))
    }

    /// Marks of a sale that was not swept before in this epoch by this process.
    fn fresh_marks(&self, epoch: u64, now: Instant) -> Marks {
        Marks {
            epoch,
            observed: std::array::from_fn(|level| Observed::new(self.age(level))),
            swept: [EntryId::FIRST; AGES],
            again_at: now + self.age(AGES - 1),
            generation: self.stores.broker.generation(),
            reset_at: now,
            is_ahead: false,
        }
    }

    /// Sends the entries of one product that are due, given its sale as it stands,
    /// and settles what the ledger has of them.
    pub async fn sweep(&mut self, product: &ProductId, sale: &SaleState) -> Result<Swept, SweepError> {
        let Some(newest) = sale.newest else { return Ok(Swept::default()) };
        let (now, generation) = (self.runtime.instant(), self.stores.broker.generation());
        let known = self.marks.remove(product).filter(|marks| marks.epoch == sale.epoch);
        let mut marks = known.unwrap_or_else(|| self.fresh_marks(sale.epoch, now));
        if now >= marks.again_at {
            marks.swept[AGES - 1] = EntryId::FIRST;
            marks.again_at = now + self.age(AGES - 1);
        }
        let ahead = sale.ahead(newest);
        if let Some(ahead) = ahead
            && !marks.is_ahead
        {
            let seconds = ahead.num_seconds();
            tracing::warn!(%product, "the newest outbox entry is {seconds} s ahead of admission's clock: was it wrong?");
        }
        marks.is_ahead = ahead.is_some();
        let due: [_; AGES] = std::array::from_fn(|level| marks.observed[level].due(newest, now));
        // What was sent may be lost.
        if now - marks.reset_at >= RESET_INTERVAL_MIN
            && (marks.generation != generation
                || marks.are_swept_up_to(due[0]) && self.queue_is_empty().await)
        {
            (marks.swept, marks.generation, marks.reset_at) = ([EntryId::FIRST; AGES], generation, now);
        }
        let swept = self.sweep_ages(product, &due, &mut marks.swept).await;
        self.marks.insert(product.clone(), marks);
        swept
    }

    /// False where that is not known.
    async fn queue_is_empty(&self) -> bool {
        matches!(self.stores.broker.depths().await, Ok(Some(Depths { purchases: 0, .. })))
    }

    async fn sweep_ages(
        &self,
        product: &ProductId,
        due: &[EntryId; AGES],
        marks: &mut [EntryId; AGES],
    ) -> Result<Swept, SweepError> {
        let (mut swept, mut pages, mut asks_ledger) = (Swept::default(), 0, true);
        for (level, due) in due.iter().copied().enumerate().rev() {
            while marks[level] < due {
                if pages == PAGES_MAX {
                    return Ok(swept);
                }
                pages += 1;
                let page = self.stores.admission.outbox(product, marks[level], due, PAGE).await?;
                let reached = page.last().map_or(due, |entry| entry.id);
                let found = page.len();
                let left = match level {
                    0 => page,
                    _ => self.settle_recorded(page, &mut asks_ledger).await,
                };
                swept.settled += found - left.len();
                swept.sent += left.len();
                for group in Entry::group(left) {
                    crash_point!("sweeper-after-read");
                    self.stores.broker.publish_unfenced(&group).await?;
                    crash_point!("sweeper-after-confirm");
                }
                for mark in &mut marks[..=level] {
                    *mark = reached.max(*mark);
                }
            }
        }
        Ok(swept)
    }

    /// Settles what the ledger has, and returns the rest. Entries of the second age were sent
    /// before: where such a purchase is recorded, its worker did not reach this admission, but
    /// perhaps a former primary of it, and may be the one that is given the message again. A ledger
    /// that does not answer is not asked again in this sweep.
    async fn settle_recorded(&self, entries: Vec<Entry>, asks_ledger: &mut bool) -> Vec<Entry> {
        if !*asks_ledger {
            return entries;
        }
        let ids: Vec<_> = entries.iter().map(|entry| entry.purchase.id).collect();
        let recorded = match self.stores.ledger.purchases_among(&ids).await {
            Ok(recorded) => recorded,
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "entries are sent whether recorded or not");
                *asks_ledger = false;
                return entries;
            }
        };
        let units: HashMap<_, _> = recorded.iter().map(|purchase| (purchase.id, purchase.unit)).collect();
        let is_recorded = |entry: &Entry| units.get(&entry.purchase.id) == Some(&entry.purchase.unit);
        let (settled, left): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_recorded);
        for group in Entry::group(settled) {
            if let Err(error) = self.stores.admission.settle(&group).await {
                tracing::debug!(error = error_chain(&error), "recorded entries stay in the outbox for now");
            }
        }
        left
    }
}

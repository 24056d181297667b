//! Sends again what the outbox still holds: purchases whose publish failed, was not confirmed, or
//! whose process died in between.
//!
//! An entry is sent again when it reaches an age of 5 s (by default), then at four times that age,
//! and so on. There is no state per entry: for each age there is a mark up to which the stream has
//! been swept. A mark moves only over what the broker has confirmed, and moves the marks of all
//! smaller ages with it, so that after an outage every entry goes out once, not once for each age
//! that it passed meanwhile. A new connection to the broker resets the marks: what was confirmed on
//! an earlier one may be lost.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::admission::{Admission, AdmissionError};
use crate::broker::{Broker, BrokerError};
use crate::domain::{Entry, EntryId, ProductId, SaleState};
use crate::runtime::crash_points::crash_point;

/// Ages at which an entry is sent again: 1, 4, 16, … times the first.
const AGES: usize = 6;
/// Entries read, and sent as one message, at a time.
const PAGE: usize = 500;
/// Shortest time between two resets of the marks, for a broker whose connection flaps.
const RESET_INTERVAL_MIN: TimeDelta = TimeDelta::seconds(30);
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

/// Sweeps the outboxes of all products.
#[derive(Debug)]
pub struct Sweeper {
    admission: Arc<dyn Admission>,
    broker: Arc<dyn Broker>,
    first_age: TimeDelta,
    marks: HashMap<ProductId, Marks>,
}

#[derive(Debug)]
struct Marks {
    epoch: u64,
    swept: [EntryId; AGES],
    /// When the mark of the greatest age is reset, so that the oldest entries are swept once more.
    again_at: DateTime<Utc>,
    /// The broker's generation at the latest reset of all marks.
    generation: u64,
    reset_at: DateTime<Utc>,
}

impl Marks {
    /// Whether what was sent may be lost, because the connection to the broker was replaced since.
    fn is_outdated(&self, generation: u64, now: DateTime<Utc>) -> bool {
        self.generation != generation && now - self.reset_at >= RESET_INTERVAL_MIN
    }
}

impl Sweeper {
    /// Sends entries again from the age of `first_age` on.
    pub fn new(admission: Arc<dyn Admission>, broker: Arc<dyn Broker>, first_age: Duration) -> Self {
        let first_age = TimeDelta::from_std(first_age).unwrap_or(TimeDelta::seconds(5));
        Self { admission, broker, first_age, marks: HashMap::new() }
    }

    fn age(&self, level: usize) -> TimeDelta {
        self.first_age * 4_i32.pow(u32::try_from(level).unwrap_or(0))
    }

    /// Sends the entries of one product that are due, given its sale as it stands,
    /// and returns their number.
    pub async fn sweep(&mut self, product: &ProductId, sale: &SaleState) -> Result<usize, SweepError> {
        let oldest = AGES - 1;
        let again_at = sale.now + self.age(oldest);
        let generation = self.broker.generation();
        let mut marks = match self.marks.remove(product) {
            Some(marks) if marks.epoch == sale.epoch && !marks.is_outdated(generation, sale.now) => marks,
            _ => {
                let swept = [EntryId::FIRST; AGES];
                Marks { epoch: sale.epoch, swept, again_at, generation, reset_at: sale.now }
            }
        };
        if sale.now >= marks.again_at {
            marks.swept[oldest] = EntryId::FIRST;
            marks.again_at = again_at;
        }
        let swept = self.sweep_ages(product, sale, &mut marks).await;
        self.marks.insert(product.clone(), marks);
        swept
    }

    async fn sweep_ages(
        &self,
        product: &ProductId,
        sale: &SaleState,
        marks: &mut Marks,
    ) -> Result<usize, SweepError> {
        let (mut swept, mut pages) = (0, 0);
        for level in (0..AGES).rev() {
            let due = EntryId::end_of(sale.now - self.age(level));
            while marks.swept[level] < due {
                if pages == PAGES_MAX {
                    return Ok(swept);
                }
                pages += 1;
                let page = self.admission.outbox(product, marks.swept[level], due, PAGE).await?;
                let reached = page.last().map_or(due, |entry| entry.id);
                swept += page.len();
                for group in Entry::group(page) {
                    crash_point!("sweeper-after-read");
                    self.broker.publish_unfenced(&group).await?;
                    crash_point!("sweeper-after-confirm");
                }
                for mark in &mut marks.swept[..=level] {
                    *mark = reached.max(*mark);
                }
            }
        }
        Ok(swept)
    }
}

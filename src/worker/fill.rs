//! Which messages are recorded together.

use std::time::Duration;

use futures_util::FutureExt;

use super::Batch;
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::runtime::Runtime;

/// A batch of so many purchases is worth its transaction.
const SMALL_BATCH: usize = 32;

/// How batches are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    /// Purchases after which a batch is full.
    pub(super) items_max: usize,
    /// How long every batch waits for more.
    pub(super) linger: Duration,
    /// How long a small one does under load.
    pub(super) linger_under_load: Duration,
}

impl Filling {
    /// The batch that begins with this message: with it, what has arrived while the one before was
    /// recorded. A transaction costs as much as several rows, so under load, when this message had
    /// been waiting, a small batch waits a moment for more.
    pub(super) async fn fill(
        self,
        first: Delivery,
        was_waiting: bool,
        consumer: &mut dyn Consumer,
        runtime: &Runtime,
    ) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        let began = runtime.instant();
        while batch.entries() < self.items_max {
            let is_small = batch.entries() < SMALL_BATCH;
            let under_load = if was_waiting && is_small { self.linger_under_load } else { Duration::ZERO };
            let left = self.linger.max(under_load).saturating_sub(runtime.instant() - began);
            let next = if left.is_zero() {
                consumer.next().now_or_never()
            } else {
                runtime.timeout(left, consumer.next()).await
            };
            match next {
                Some(Ok(delivery)) => batch.add(delivery),
                // The rest is redelivered; what is here is recorded first.
                Some(Err(_)) | None => break,
            }
        }
        batch
    }
}

/// The next message, and whether it was there already.
pub(super) async fn next_of(consumer: &mut dyn Consumer) -> (Result<Delivery, BrokerError>, bool) {
    match consumer.next().now_or_never() {
        Some(next) => (next, true),
        None => (consumer.next().await, false),
    }
}

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

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, future::pending};

    use async_trait::async_trait;

    use super::*;
    use crate::broker::{Acknowledge, Content, DeliveryHistory, QueueState};
    use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, UserId};

    /// Delivers what there is, at these times after the first wait; then nothing, or an error.
    #[derive(Debug)]
    struct Scripted {
        messages: VecDeque<(Duration, usize)>,
        fails: bool,
        runtime: Runtime,
    }

    #[derive(Debug)]
    struct Acked;

    #[async_trait]
    impl Acknowledge for Acked {
        async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
            Ok(())
        }
    }

    fn message(entries: usize) -> Delivery {
        let id = EntryId { millis: 1, sequence: 0 };
        let purchase = Purchase {
            id: PurchaseId::new(id.admitted_at(), [0, 0]),
            product: ProductId::parse("p").expect("id"),
            user: UserId::parse("a").expect("user"),
            unit: 1,
            admitted_at: id.admitted_at(),
        };
        let entries = vec![Entry { id, epoch: 1, purchase }; entries];
        let content = Content { entries, rejected: Vec::new() };
        Delivery { content, history: DeliveryHistory::default(), acknowledge: Box::new(Acked) }
    }

    #[async_trait]
    impl Consumer for Scripted {
        async fn start(&mut self) -> Result<(), BrokerError> {
            Ok(())
        }

        async fn next(&mut self) -> Result<Delivery, BrokerError> {
            let Some((after, entries)) = self.messages.front().copied() else {
                return if self.fails { Err(BrokerError::NotConnected) } else { pending().await };
            };
            if !after.is_zero() {
                self.runtime.sleep(after).await;
            }
            self.messages.pop_front();
            Ok(message(entries))
        }

        async fn state(&mut self) -> Result<QueueState, BrokerError> {
            Ok(QueueState { ready: 0, consumers: 1 })
        }

        async fn close(self: Box<Self>) {}
    }

    /// How many purchases a batch has that begins with one.
    async fn filled(
        filling: Filling,
        was_waiting: bool,
        messages: &[(Duration, usize)],
        fails: bool,
    ) -> usize {
        let runtime = Runtime::system();
        let mut consumer =
            Scripted { messages: messages.iter().copied().collect(), fails, runtime: runtime.clone() };
        filling.fill(message(1), was_waiting, &mut consumer, &runtime).await.entries()
    }

    #[tokio::test]
    async fn a_batch_has_what_is_there_and_waits_under_load_while_it_is_small() {
        const NOW: Duration = Duration::ZERO;
        const SOON: Duration = Duration::from_millis(1);
        let long = Duration::from_secs(30);
        let eager = Filling { items_max: 100, linger: NOW, linger_under_load: long };
        assert_eq!(filled(eager, false, &[(NOW, 2), (NOW, 3), (SOON, 9)], false).await, 6, "no load");
        assert_eq!(filled(eager, true, &[(SOON, 2), (SOON, 40), (SOON, 9)], false).await, 43, "under load");
        assert_eq!(
            filled(eager, true, &[(NOW, 40), (NOW, 40), (NOW, 40), (NOW, 40)], false).await,
            121,
            "full"
        );
        assert_eq!(filled(eager, true, &[(SOON, 2)], true).await, 3, "the connection is lost");
        let patient = Filling { linger: long, linger_under_load: NOW, ..eager };
        assert_eq!(filled(patient, false, &[(SOON, 50), (SOON, 50), (SOON, 9)], false).await, 101, "lingers");
    }
}

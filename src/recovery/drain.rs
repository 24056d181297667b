//! Brings everything that is on its way into the ledger, before a snapshot of it is taken: what the queue holds,
//! and what Redis still has in the outbox. Without this, a purchase that the broker has confirmed could find its
//! unit sold to someone else.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Recovery, RecoveryError};
use crate::broker::{Acknowledge, Consumer, Delivery, Message};
use crate::domain::{EntryId, ProductId};
use crate::ledger::Writer;
use crate::worker::Batch;

/// How long to wait for the workers to leave the queue. They look four times a second; one that has lost the
/// database leaves as soon as it has it back.
const CONSUMERS_LEAVE_MAX: Duration = Duration::from_secs(30);
/// Purchases recorded in one transaction.
const BATCH_ITEMS_MAX: usize = 1_000;

impl Recovery {
    /// Ends when the queue and the product's outbox hold nothing that is not in the ledger. The workers must have
    /// been told to stand aside.
    pub(super) async fn drain(&self, product: &ProductId) -> Result<(), RecoveryError> {
        let mut queue = self.stores.broker.drain().await?;
        let drained = self.drain_queue(&mut queue).await;
        queue.close().await;
        drained?;
        self.drain_outbox(product).await
    }

    async fn drain_queue(&self, queue: &mut Consumer) -> Result<(), RecoveryError> {
        let deadline = Instant::now() + CONSUMERS_LEAVE_MAX;
        loop {
            match queue.consumers().await? {
                0 => break,
                left if Instant::now() > deadline => return Err(RecoveryError::ConsumersStay(left)),
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
        loop {
            let mut batch = Batch::default();
            while batch.items() < BATCH_ITEMS_MAX {
                let Some(delivery) = queue.take().await? else { break };
                batch.add(delivery);
            }
            if batch.is_empty() {
                return Ok(());
            }
            batch.step(&self.stores, Writer::Rebuild).await?;
            batch.acknowledge().await;
        }
    }

    /// Entries of a Redis that lost its `sale` but not its outbox, or was rolled back.
    async fn drain_outbox(&self, product: &ProductId) -> Result<(), RecoveryError> {
        let end = EntryId { millis: u64::MAX, sequence: u64::MAX };
        let mut after = EntryId::FIRST;
        loop {
            let page = self.stores.gate.outbox(product, after, end, BATCH_ITEMS_MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let mut batch = Batch::default();
            for message in Message::group(page) {
                let (confirm, _nobody_waits) = tokio::sync::oneshot::channel();
                batch.add(Delivery { body: message.encode(), acknowledge: Acknowledge::Embedded(confirm) });
            }
            batch.step(&self.stores, Writer::Rebuild).await?;
        }
    }
}

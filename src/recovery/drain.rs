//! Brings what the queue holds into the ledger, before a snapshot of it is taken. Without this, a
//! purchase that the broker has confirmed could find its unit sold to someone else.

use std::time::Duration;

use super::{Recovery, RecoveryError};
use crate::broker::{BrokerError, Consumer};
use crate::runtime::crash_points::crash_point;
use crate::worker::{Batch, Recorder};

/// How long to wait for the workers to leave the queue. They ask four times a second; one that has
/// lost the database leaves as soon as it reaches it again, and one whose host is gone when its
/// heartbeats have been missed.
const CONSUMERS_LEAVE_MAX: Duration = Duration::from_secs(45);
const CONSUMERS_INTERVAL: Duration = Duration::from_millis(50);
/// Purchases recorded in one transaction.
const BATCH_ITEMS_MAX: usize = 1_000;
/// Messages in one transaction, which may hold no purchase at all.
const BATCH_MESSAGES_MAX: usize = 100;
/// A batch is complete when nothing comes for so long.
const QUIET: Duration = Duration::from_millis(50);
/// A queue that has given nothing for so long, and says that it has nothing, is empty.
const EMPTY_AFTER: Duration = Duration::from_secs(5);
/// A queue that says that it has messages, and gives none for so long, is not well.
const STALLS_AFTER: Duration = Duration::from_secs(30);

impl Recovery {
    /// Ends when the queue holds nothing of the stopped products that is not in the ledger. The
    /// workers must have been told to stand aside.
    pub(super) async fn drain(&self, recorder: &Recorder) -> Result<(), RecoveryError> {
        let mut queue = self.stores.broker.consumer().await?;
        let drained = self.drain_queue(&mut *queue, recorder).await;
        queue.close().await;
        drained
    }

    /// The queue is one for all products, and others may be selling: it is drained of what it
    /// holds now. Everything that the stopped products' buyers were told is safe with the
    /// broker is among it.
    async fn drain_queue(&self, queue: &mut dyn Consumer, recorder: &Recorder) -> Result<(), RecoveryError> {
        // A consumer may hold messages that the queue does not show; without consumers it shows
        // all.
        let deadline = self.runtime.instant() + CONSUMERS_LEAVE_MAX;
        let mut expected = loop {
            let state = queue.state().await?;
            match state.consumers {
                0 => break state.ready,
                left if self.runtime.instant() > deadline => return Err(RecoveryError::ConsumersStay(left)),
                _ => self.runtime.sleep(CONSUMERS_INTERVAL).await,
            }
        };
        // From here on we are one ourselves, so that a drain that was cut off is waited for by the
        // next one.
        queue.start().await?;
        let mut last_delivery = self.runtime.instant();
        while expected > 0 {
            let mut batch = Batch::default();
            while batch.entries() < BATCH_ITEMS_MAX
                && batch.messages() < BATCH_MESSAGES_MAX.min(expected as usize)
            {
                let Some(delivery) = self.runtime.timeout(QUIET, queue.next()).await else { break };
                batch.add(delivery?);
            }
            if batch.is_empty() {
                // A message may have gone elsewhere meanwhile: the broker gives some up by itself.
                let quiet_for = self.runtime.instant() - last_delivery;
                if queue.state().await?.ready == 0 && quiet_for > EMPTY_AFTER {
                    return Ok(());
                }
                if quiet_for > STALLS_AFTER {
                    return Err(RecoveryError::QueueStalls(expected));
                }
                continue;
            }
            last_delivery = self.runtime.instant();
            expected = expected.saturating_sub(u32::try_from(batch.messages()).unwrap_or(u32::MAX));
            batch.step(recorder).await?;
            crash_point!("rebuild-in-drain");
            if !batch.acknowledge().await {
                return Err(BrokerError::NotConnected.into());
            }
        }
        Ok(())
    }
}

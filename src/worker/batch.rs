//! One batch: from messages to committed rows.

use super::{Recorder, StepError};
use crate::broker::{Acknowledge, Content, Delivery, DeliveryHistory, Rejected, Unrecordable};
use crate::domain::Entry;
use crate::runtime::crash_points::crash_point;

/// Messages that are recorded together.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<(Entry, DeliveryHistory)>,
    /// What can never be recorded and is not yet in the dead-letter queue.
    rejected: Vec<(Rejected, DeliveryHistory)>,
    acknowledges: Vec<Box<dyn Acknowledge>>,
}

impl Batch {
    pub fn add(&mut self, delivery: Delivery) {
        let Delivery { content: Content { entries, rejected }, history, acknowledge } = delivery;
        self.entries.extend(entries.into_iter().map(|entry| (entry, history)));
        self.rejected.extend(rejected.into_iter().map(|rejected| (rejected, history)));
        self.acknowledges.push(acknowledge);
    }

    pub fn is_empty(&self) -> bool {
        self.acknowledges.is_empty()
    }

    pub fn messages(&self) -> usize {
        self.acknowledges.len()
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Records everything in one transaction, settles conflicts, deletes outbox entries, and
    /// publishes dead letters. After an error it can be repeated.
    pub async fn step(&mut self, recorder: &Recorder) -> Result<(), StepError> {
        // A publisher's proof that the queue confirms holds nothing.
        if self.entries.is_empty() && self.rejected.is_empty() {
            return Ok(());
        }
        crash_point!("worker-after-delivery");
        let dead = recorder.record(self.entries.iter().map(|(entry, _)| entry).collect()).await?;
        for (dead, (_, history)) in dead.into_iter().zip(&self.entries) {
            if let Some(dead) = dead {
                recorder.dead_letter_entry(&dead, *history).await?;
            }
        }
        while let Some((Rejected { body, reason }, history)) = self.rejected.last() {
            recorder.dead_letter(&Unrecordable::Body(body.clone()), reason, *history).await?;
            self.rejected.pop();
        }
        Ok(())
    }

    /// Acks every message. False: the broker can't be reached, and will deliver the rest again.
    pub async fn acknowledge(&mut self) -> bool {
        crash_point!("worker-before-ack");
        for acknowledge in self.acknowledges.drain(..) {
            if acknowledge.ack().await.is_err() {
                return false;
            }
        }
        true
    }
}

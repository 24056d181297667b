//! One batch: from messages to committed rows.

use super::{
    Recorder, StepError,
    conflict::{self, Settled},
};
use crate::admission::AdmissionError;
use crate::broker::{
    Acknowledge, Content, DeadReason, DeadReasonClass, Delivery, DeliveryHistory, Rejected, Unrecordable,
};
use crate::domain::{Entry, LedgerVerdict};
use crate::ledger::{Ledger, LedgerError, Writer};
use crate::runtime::{crash_points::crash_point, error_chain};
use crate::stores::Stores;

/// Messages that are recorded together.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<(Entry, DeliveryHistory)>,
    /// What can never be recorded and is not yet in the dead-letter queue.
    rejected: Vec<(Rejected, DeliveryHistory)>,
    acknowledges: Vec<Box<dyn Acknowledge>>,
}

impl Batch {
    /// A batch of entries that came by no message.
    pub fn of_entries(entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry, DeliveryHistory::default())).collect();
        Self { entries, ..Self::default() }
    }

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
        crash_point!("worker-after-delivery");
        let mut committed = Vec::with_capacity(self.entries.len());
        let mut dead = Vec::new();
        let verdicts = self.record(recorder).await?;
        let now = recorder.telemetry.clock().now();
        for ((entry, history), verdict) in self.entries.iter().zip(verdicts) {
            let settled = match verdict {
                Ok(LedgerVerdict::Recorded) => {
                    let purchase = &entry.purchase;
                    recorder.telemetry.meter.recorded(&purchase.product, now - purchase.admitted_at);
                    Settled::Recorded(entry.clone())
                }
                Ok(verdict) => conflict::settle(recorder, entry.clone(), verdict).await?,
                Err(detail) => Settled::Dead(DeadReason { class: DeadReasonClass::Refused, detail }),
            };
            match settled {
                Settled::Recorded(entry) => committed.push(entry),
                Settled::Withdrawn | Settled::Deferred => {}
                Settled::Dead(reason) => dead.push((entry.clone(), reason, *history)),
            }
        }
        crash_point!("worker-after-commit");
        settle(&recorder.stores, committed).await;
        crash_point!("worker-after-delete");
        self.dead_letter(recorder, dead).await
    }

    /// A verdict on each purchase; `Err(reason)`: the database refuses its values.
    async fn record(&self, recorder: &Recorder) -> Result<Vec<ValuesVerdict>, LedgerError> {
        let entries: Vec<_> = self.entries.iter().map(|(entry, _)| recorder.mode.entry(entry)).collect();
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        record(&*recorder.stores.ledger, &entries, recorder.mode.writer()).await
    }

    async fn dead_letter(
        &mut self,
        recorder: &Recorder,
        dead: Vec<(Entry, DeadReason, DeliveryHistory)>,
    ) -> Result<(), StepError> {
        for (entry, reason, history) in dead {
            let letter = Unrecordable::Entry(entry);
            recorder.dead_letter(&letter, &reason, history).await?;
            if let Unrecordable::Entry(entry) = letter {
                let marked = recorder.stores.admission.mark_dead_lettered(&[entry]).await;
                note_unsettled(marked);
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

type ValuesVerdict = Result<LedgerVerdict, String>;

/// Deletes the outbox entries of purchases that are committed.
async fn settle(stores: &Stores, recorded: Vec<Entry>) {
    for group in Entry::group(recorded) {
        note_unsettled(stores.admission.settle(&group).await);
    }
}

/// Admission can't be reached, or was rebuilt: the rows stand all the same. An entry that stays is
/// swept, found recorded, and deleted then.
fn note_unsettled(settled: Result<(), AdmissionError>) {
    if let Err(error) = settled {
        tracing::debug!(error = error_chain(&error), "outbox entries stay for the sweeper");
    }
}

/// Records purchases. Where the database refuses the values of one, the rest
/// is recorded without it.
async fn record(
    ledger: &dyn Ledger,
    entries: &[Entry],
    writer: Writer,
) -> Result<Vec<ValuesVerdict>, LedgerError> {
    match ledger.record(entries, writer).await {
        Ok(verdicts) => Ok(verdicts.into_iter().map(Ok).collect()),
        Err(LedgerError::Refused(why)) if entries.len() == 1 => Ok(vec![Err(error_chain(&*why))]),
        Err(LedgerError::Refused(_)) => {
            let (left, right) = entries.split_at(entries.len() / 2);
            let mut verdicts = Box::pin(record(ledger, left, writer)).await?;
            verdicts.extend(Box::pin(record(ledger, right, writer)).await?);
            Ok(verdicts)
        }
        Err(error) => Err(error),
    }
}

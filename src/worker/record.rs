//! From purchases to committed rows: one transaction, and what follows from its verdicts.

use super::{
    Dead, Recorder, StepError,
    conflict::{self, Settled},
};
use crate::broker::DeadReasonClass;
use crate::domain::{Entry, LedgerVerdict};
use crate::ledger::{Ledger, LedgerError, Writer};
use crate::runtime::{crash_points::crash_point, error_chain};

impl Recorder {
    /// Records purchases in one transaction, settles conflicts, and deletes outbox entries. Returns
    /// for each purchase whether it can never be recorded. After an error it can be repeated.
    pub async fn record(&self, entries: Vec<&Entry>) -> Result<Vec<Option<Dead>>, StepError> {
        let (mut committed, mut all_dead) = (Vec::with_capacity(entries.len()), Vec::new());
        let verdicts = self.verdicts(&entries).await?;
        let now = self.telemetry.clock().now();
        for (entry, verdict) in entries.into_iter().zip(verdicts) {
            let settled = match verdict {
                Ok(LedgerVerdict::Recorded) => {
                    let purchase = &entry.purchase;
                    self.telemetry.meter.recorded(&purchase.product, now - purchase.admitted_at);
                    Settled::Recorded(entry.clone())
                }
                Ok(verdict) => conflict::settle(self, entry.clone(), verdict).await?,
                Err(detail) => conflict::dead(entry.clone(), DeadReasonClass::Refused, detail),
            };
            let mut dead = None;
            match settled {
                Settled::Recorded(entry) => committed.push(entry),
                Settled::Withdrawn | Settled::Deferred => {}
                Settled::Dead(entry, reason) => dead = Some(Dead { entry, reason }),
            }
            all_dead.push(dead);
        }
        crash_point!("worker-after-commit");
        for group in Entry::group(committed) {
            Self::note_unsettled(self.stores.admission.settle(&group).await);
        }
        crash_point!("worker-after-delete");
        Ok(all_dead)
    }

    /// A verdict on each purchase; `Err(reason)`: the database refuses its values.
    async fn verdicts(&self, entries: &[&Entry]) -> Result<Vec<ValuesVerdict>, LedgerError> {
        let entries: Vec<_> = entries.iter().map(|entry| self.mode.entry(entry)).collect();
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        record(&*self.stores.ledger, &entries, self.mode.writer()).await
    }
}

type ValuesVerdict = Result<LedgerVerdict, String>;

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

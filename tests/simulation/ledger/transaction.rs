//! A batch of purchases becomes rows: a transaction that takes time, and may go on without its client.

use std::{collections::BTreeMap, time::Duration};

use flashsale::{
    domain::{Entry, LedgerVerdict, ProductId},
    ledger::{LedgerError, Writer},
};
use tokio::time::sleep;

use super::{SimLedger, unavailable};
use crate::executor::WORLD;

/// A transaction under way.
pub(super) struct Transaction {
    ledger: SimLedger,
    entries: Vec<Entry>,
    writer: Writer,
    /// The epochs that a worker's transaction saw at its beginning.
    epochs: BTreeMap<ProductId, u64>,
    incarnation: u64,
    ended: bool,
}

impl Transaction {
    pub(super) fn begin(ledger: &SimLedger, entries: &[Entry], writer: Writer) -> Result<Self, LedgerError> {
        let mut state = ledger.database.lock();
        if writer == Writer::Worker {
            if !state.locks.workers_may_run() {
                return Err(LedgerError::RebuildUnderWay);
            }
            state.locks.working += 1;
        }
        Ok(Self {
            ledger: ledger.clone(),
            entries: entries.to_vec(),
            writer,
            epochs: state.tables.epochs(),
            incarnation: state.incarnation,
            ended: false,
        })
    }

    pub(super) fn commit(mut self) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.ended = true;
        self.apply()
    }

    fn apply(&self) -> Result<Vec<LedgerVerdict>, LedgerError> {
        let SimLedger { sim, database, pid, .. } = &self.ledger;
        let mut state = database.lock();
        if state.incarnation != self.incarnation {
            return Err(unavailable("the session has ended"));
        }
        self.release(&mut state);
        // A rebuild keeps the epochs as they are until its transaction ends; for a worker they may rise meanwhile.
        let epochs = match self.writer {
            Writer::Worker => self.epochs.clone(),
            Writer::Rebuild => state.tables.epochs(),
        };
        let verdicts = state.tables.record(&self.entries, &epochs, sim.now());
        drop(state);
        for (entry, verdict) in self.entries.iter().zip(&verdicts) {
            let (user, unit) = (&entry.purchase.user, entry.purchase.unit);
            let name = super::name_of(verdict);
            sim.note(*pid, format_args!("commit {user} unit {unit} epoch {}: {name}", entry.epoch));
        }
        Ok(verdicts)
    }

    fn release(&self, state: &mut super::database::State) {
        if self.writer == Writer::Worker && state.incarnation == self.incarnation {
            state.locks.working = state.locks.working.saturating_sub(1);
        }
    }
}

impl Drop for Transaction {
    /// The client is gone. Where COMMIT was on its way, the server still commits.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let left = Self {
            ledger: self.ledger.clone(),
            entries: std::mem::take(&mut self.entries),
            epochs: std::mem::take(&mut self.epochs),
            ended: true,
            ..*self
        };
        let sim = left.ledger.sim.clone();
        let (late, commits) = sim.draw(|random| (Duration::from_millis(random.u64(0..2_000)), random.bool()));
        sim.executor.spawn(WORLD, async move {
            sleep(late).await;
            if commits {
                let _ = left.apply();
            } else {
                left.release(&mut left.ledger.database.lock());
            }
        });
    }
}

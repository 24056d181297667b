//! Replacing the state by a snapshot of the ledger, and changing the terms of a running sale.

use super::{Fence, Header, OpenSale, Opening, Outbox, RebuildStep, SaleMachine, Staged, Winner};
use crate::domain::{Purchase, Terms};

impl SaleMachine {
    /// Changes the terms of a running sale. False: the sale is of another epoch, or more units are
    /// handed out than the new total.
    pub fn configure(&mut self, epoch: u64, terms: &Terms) -> bool {
        let sale = self.open_sale_mut();
        let changed = sale.filter(|sale| sale.epoch == epoch && sale.next <= terms.total_stock);
        changed.map(|sale| sale.terms = terms.clone()).is_some()
    }

    /// Stops admission until [`SaleMachine::open`] with the same epoch. Everything but
    /// the header is kept.
    pub fn fence(&mut self, epoch: u64) -> Fence {
        let found = match &self.header {
            Header::Absent => 0,
            Header::Fenced { epoch, .. } => *epoch,
            Header::Open(sale) => sale.epoch,
        };
        if found > epoch {
            return Fence::Later(found);
        }
        self.header = Header::Fenced { epoch, step: RebuildStep::PausingWorkers };
        Fence::Stopped
    }

    /// Records the progress of the rebuild under `epoch`, if its fence stands.
    pub fn note_step(&mut self, epoch: u64, now_at: RebuildStep) {
        if let Header::Fenced { epoch: fenced, step } = &mut self.header
            && *fenced == epoch
        {
            *step = now_at;
        }
    }

    /// Adds a part of the ledger's snapshot to what [`SaleMachine::open`] will put in
    /// place; each part once.
    pub fn stage(&mut self, epoch: u64, purchases: &[Purchase], free: &[u32]) {
        let staged = self.staged.entry(epoch).or_default();
        staged.free.extend(free);
        let winners = purchases.iter().map(|bought| (bought.user.clone(), Winner::from_ledger(bought)));
        staged.buyers.extend(winners);
    }

    /// Deletes what was staged for `epoch`.
    pub fn unstage(&mut self, epoch: u64) {
        self.staged.remove(&epoch);
    }

    /// Puts the staged snapshot in place under `epoch`, whose fence must stand. `next`: the highest
    /// unit in the ledger; the staged purchases and free units must be all of `1..=next`.
    pub fn open(&mut self, epoch: u64, terms: &Terms, next: u32, revoked: bool, server: &str) -> Opening {
        match &self.header {
            Header::Open(sale) if sale.epoch == epoch => return Opening::Open,
            Header::Fenced { epoch: fenced, .. } if *fenced == epoch => {}
            Header::Absent | Header::Fenced { .. } | Header::Open(_) => return Opening::Stale,
        }
        let staged = self.staged.get(&epoch).map_or(0, |staged| staged.free.len() + staged.buyers.len());
        if staged != next as usize {
            return Opening::Incomplete;
        }
        let Staged { free, buyers } = self.staged.remove(&epoch).unwrap_or_default();
        self.free = free;
        self.buyers = buyers;
        self.outbox = Outbox::default();
        self.dead.clear();
        self.header = Header::Open(OpenSale {
            epoch,
            terms: terms.clone(),
            next,
            server: server.to_owned(),
            balance: 0,
            in_flight: 0,
            dead: 0,
            revoked,
        });
        Opening::Open
    }
}

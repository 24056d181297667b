//! Replacing the state by a snapshot of the ledger, and changing the terms of a running sale.

use super::{Fence, Header, OpenSale, Opening, Outbox, RebuildStep, SaleMachine, Staged, Winner};
use crate::domain::{Purchase, SystemId, Terms, UsedRight};

/// A part of the snapshot that a rebuild puts in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagedPart {
    /// Purchases in the ledger.
    pub recorded: Vec<Purchase>,
    /// Purchases that only the dead-letter queue has: they keep their units, and stay pending.
    pub dead_lettered: Vec<Purchase>,
    /// Of users who have none of these purchases.
    pub used: Vec<UsedRight>,
    /// Units that nobody has.
    pub free: Vec<u32>,
}

/// What a snapshot consists of, as the ledger has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotTotals {
    /// The highest unit of a staged purchase, or that is withheld.
    pub next: u32,
    /// Staged users without a unit, less withheld units without a user. So staged users and free
    /// units are `next + balance`.
    pub balance: i64,
    /// Purchases of this sale were taken back, whose users may buy again.
    pub revoked: bool,
}

impl SaleMachine {
    /// Changes the terms of a running sale. False: the sale is of another epoch, or more units are
    /// handed out than the new total.
    pub fn configure(&mut self, epoch: u64, terms: &Terms) -> bool {
        let sale = self.open_sale_mut();
        let changed = sale.filter(|sale| sale.epoch == epoch && sale.next <= terms.total_stock);
        changed.map(|sale| sale.terms = terms.clone()).is_some()
    }

    /// Stops admission until [`SaleMachine::open`] with the same epoch. Everything but
    /// the header is kept. An epoch stops a sale once: a ledger that was restored gives out numbers
    /// again that it has given out before, and two rebuilds must not share one.
    pub fn fence(&mut self, epoch: u64, system: Option<SystemId>) -> Fence {
        let found = match &self.header {
            Header::Absent => 0,
            Header::Fenced { epoch, .. } => *epoch,
            Header::Open(sale) => sale.epoch.max(sale.seen),
        };
        if found >= epoch {
            return Fence::Later(found);
        }
        self.header = Header::Fenced { epoch, step: RebuildStep::PausingWorkers, system };
        Fence::Stopped
    }

    /// Records the progress of the rebuild under `epoch`, if its fence stands.
    pub fn note_step(&mut self, epoch: u64, now_at: RebuildStep) {
        if let Header::Fenced { epoch: fenced, step, .. } = &mut self.header
            && *fenced == epoch
        {
            *step = now_at;
        }
    }

    /// Adds a part of the ledger's snapshot to what [`SaleMachine::open`] will put in
    /// place; each part once.
    pub fn stage(&mut self, epoch: u64, part: &StagedPart) {
        let StagedPart { recorded, dead_lettered, used, free } = part;
        let staged = self.staged.entry(epoch).or_default();
        staged.free.extend(free);
        staged.dead.extend(dead_lettered.iter().map(|purchase| purchase.id));
        let winners = recorded.iter().chain(dead_lettered);
        let winners = winners.map(|bought| (bought.user.clone(), Winner::without_entry(bought)));
        staged.buyers.extend(winners);
        let used = used.iter().map(|right| (right.purchase.user.clone(), Winner::of_right(right)));
        staged.buyers.extend(used);
    }

    /// Deletes what was staged for `epoch`.
    pub fn unstage(&mut self, epoch: u64) {
        self.staged.remove(&epoch);
    }

    /// Puts the staged snapshot in place under `epoch`, whose fence must stand. The snapshot must
    /// be as large as `totals` says.
    pub fn open(
        &mut self,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
        (server, system): (&str, Option<SystemId>),
    ) -> Opening {
        let SnapshotTotals { next, balance, revoked } = totals;
        match &self.header {
            Header::Open(sale) if sale.epoch == epoch => return Opening::Open,
            Header::Fenced { epoch: fenced, .. } if *fenced == epoch => {}
            Header::Absent | Header::Fenced { .. } | Header::Open(_) => return Opening::Stale,
        }
        let staged = self.staged.get(&epoch).map_or(0, |staged| staged.free.len() + staged.buyers.len());
        if !i64::try_from(staged).is_ok_and(|staged| staged == i64::from(next) + balance) {
            return Opening::Incomplete;
        }
        let Staged { free, buyers, dead } = self.staged.remove(&epoch).unwrap_or_default();
        self.free = free;
        self.buyers = buyers;
        self.outbox = Outbox::default();
        self.dead = dead;
        self.header = Header::Open(OpenSale {
            epoch,
            terms: terms.clone(),
            next,
            server: server.to_owned(),
            system,
            balance,
            in_flight: 0,
            dead: i64::try_from(self.dead.len()).unwrap_or(i64::MAX),
            revoked,
            seen: 0,
        });
        Opening::Open
    }
}

//! The gate in memory, for the embedded mode: the same rules as the scripts, under one lock.
//!
//! Its state is made by a rebuild from the ledger at every start, as in Redis.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Admission, Contents, EntryKey, Fence, Found, GateError, Opening, Reassignment, RebuildStep, WithdrawnUnit,
};
use crate::domain::{EntryId, OutboxEntry, ProductId, Purchase, PurchaseId, PurchaseState, SaleState};
use crate::domain::{Terms, UserId};
use crate::runtime::Clock;

/// The gate in memory; clones share it.
#[derive(Clone, Debug)]
pub struct EmbeddedGate {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    sales: HashMap<ProductId, Sale>,
    /// The epochs that may open the sales that are stopped, and how far their rebuilds are.
    fences: HashMap<ProductId, (u64, RebuildStep)>,
    staged: HashMap<(ProductId, u64), Staged>,
}

#[derive(Debug)]
struct Sale {
    epoch: u64,
    terms: Terms,
    /// Cleared by a fence: nothing is admitted until the sale is opened again.
    ready: bool,
    next: u32,
    /// Whether purchases were revoked.
    revoked: bool,
    free: VecDeque<u32>,
    buyers: HashMap<UserId, Winner>,
    outbox: BTreeMap<EntryId, OutboxEntry>,
    /// Purchases that are dead-lettered.
    dead: HashSet<PurchaseId>,
    last_entry: EntryId,
}

#[derive(Clone, Copy, Debug)]
struct Winner {
    unit: u32,
    id: PurchaseId,
    entry: EntryId,
}

#[derive(Debug, Default)]
struct Staged {
    free: VecDeque<u32>,
    buyers: HashMap<UserId, Winner>,
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for both gates")]
impl EmbeddedGate {
    /// An empty gate: nothing is ready until a rebuild has opened it.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Admission, GateError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let sale = state.ready(product)?;
        if let Some(winner) = sale.buyers.get(user) {
            let entry = sale.entry(product, user, winner);
            if winner.id == id {
                return Ok(Admission::Won(entry));
            }
            return Ok(Admission::Already(entry, sale.state_of(winner)));
        }
        if let Some(refused) = sale.terms.phase(now, sale.remaining()).refusal() {
            return Ok(Admission::Refused(refused));
        }
        let unit = sale.take_unit(false).ok_or(GateError::NotReady)?;
        Ok(Admission::Won(sale.give(product, user, id, unit, now)))
    }

    pub(super) fn sale(&self, product: &ProductId) -> Result<SaleState, GateError> {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some((_, step)) = state.fences.get(product) {
            return Err(GateError::Rebuilding(*step));
        }
        let sale = state.ready(product)?;
        Ok(SaleState {
            epoch: sale.epoch,
            terms: sale.terms.clone(),
            next: sale.next,
            remaining: sale.remaining(),
            in_flight: sale.outbox.len() as u64,
            dead: sale.dead.len() as u64,
            now,
        })
    }

    pub(super) fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, GateError> {
        let mut state = self.lock();
        let sale = state.ready(product)?;
        Ok(match sale.buyers.get(user) {
            Some(winner) => Found::Purchase(sale.entry(product, user, winner), sale.state_of(winner)),
            None => Found::Nothing { revocations: sale.revoked },
        })
    }

    pub(super) fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, GateError> {
        use std::ops::Bound::{Excluded, Included};
        let state = self.lock();
        let Some(sale) = state.sales.get(product).filter(|_| after < up_to) else { return Ok(Vec::new()) };
        let range = sale.outbox.range((Excluded(after), Included(up_to)));
        Ok(range.take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    pub(super) fn contents(&self, product: &ProductId) -> Result<Contents, GateError> {
        let mut state = self.lock();
        let sale = state.ready(product)?;
        let winners = sale.buyers.iter().map(|(user, winner)| sale.entry(product, user, winner).purchase);
        let mut winners: Vec<_> = winners.collect();
        winners.sort_by_key(|winner| winner.unit);
        Ok(Contents { winners, free: sale.free.iter().copied().collect() })
    }

    pub(super) fn settle(
        &self,
        product: &ProductId,
        epoch: u64,
        entries: &[EntryKey],
        dead: bool,
    ) -> Result<(), GateError> {
        let mut state = self.lock();
        let Some(sale) = state.ready(product).ok().filter(|sale| sale.epoch == epoch) else {
            return Ok(());
        };
        for &EntryKey { millis, sequence, purchase } in entries {
            let entry = if let Some(sequence) = sequence {
                Some(EntryId { millis, sequence })
            } else {
                let instant = EntryId { millis, sequence: 0 }..=EntryId { millis, sequence: u64::MAX };
                let found = sale.outbox.range(instant).find(|(_, entry)| entry.purchase.id == purchase);
                found.map(|(id, _)| *id)
            };
            let deleted = entry.and_then(|id| sale.outbox.remove(&id));
            if !dead {
                sale.dead.remove(&purchase);
            } else if deleted.is_some() {
                sale.dead.insert(purchase);
            }
        }
        Ok(())
    }

    pub(super) fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), GateError> {
        let mut state = self.lock();
        let Ok(sale) = state.ready(&withdrawn.product) else { return Ok(()) };
        sale.revoked |= stands.is_none();
        let admitted = sale.buyers.get(&withdrawn.user).copied();
        let Some(winner) = admitted.filter(|winner| winner.id == withdrawn.id) else { return Ok(()) };
        sale.outbox.remove(&winner.entry);
        sale.dead.remove(&winner.id);
        match stands {
            Some(stands) => drop(sale.buyers.insert(withdrawn.user.clone(), Winner::from_ledger(stands))),
            None => drop(sale.buyers.remove(&withdrawn.user)),
        }
        if unit == WithdrawnUnit::Returns {
            sale.free.push_back(winner.unit);
        }
        Ok(())
    }

    pub(super) fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, GateError> {
        let now = self.clock.now();
        let (product, user) = (&purchase.product, &purchase.user);
        let mut state = self.lock();
        let sale = state.ready(product)?;
        let old = sale.buyers.get(user).copied();
        if let Some(winner) = &old {
            let entry = sale.entry(product, user, winner);
            if winner.id != purchase.id {
                return Ok(Reassignment::Other(entry));
            }
            if winner.unit != purchase.unit || may_keep {
                return Ok(Reassignment::Moved(entry));
            }
        }
        let kept = may_keep.then(|| sale.take(purchase.unit)).flatten();
        let Some(unit) = kept.or_else(|| sale.take_unit(true)) else { return Ok(Reassignment::NoUnitLeft) };
        if let Some(winner) = old {
            sale.outbox.remove(&winner.entry);
        }
        Ok(Reassignment::Moved(sale.give(product, user, purchase.id, unit, now)))
    }

    pub(super) fn adopt(&self, owner: &Purchase) -> Result<(), GateError> {
        let mut state = self.lock();
        let Ok(sale) = state.ready(&owner.product) else { return Ok(()) };
        if !sale.buyers.contains_key(&owner.user) {
            sale.free.retain(|unit| *unit != owner.unit);
            sale.buyers.insert(owner.user.clone(), Winner::from_ledger(owner));
        }
        Ok(())
    }

    pub(super) fn send_again(&self, purchase: &Purchase) -> Result<bool, GateError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let sale = state.ready(&purchase.product)?;
        let winner = sale.buyers.get(&purchase.user).filter(|winner| winner.id == purchase.id);
        let Some(unit) = winner.filter(|winner| !sale.outbox.contains_key(&winner.entry)).map(|one| one.unit)
        else {
            return Ok(false);
        };
        sale.give(&purchase.product, &purchase.user, purchase.id, unit, now);
        Ok(true)
    }

    pub(super) fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, GateError> {
        let mut state = self.lock();
        let sale = state.ready(product).ok();
        let changed = sale.filter(|sale| sale.epoch == epoch && sale.next <= terms.total_stock);
        Ok(changed.map(|sale| sale.terms = terms.clone()).is_some())
    }

    pub(super) fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, GateError> {
        let mut state = self.lock();
        let opened = state.sales.get(product).map_or(0, |sale| sale.epoch);
        let fenced = state.fences.get(product).map_or(0, |(epoch, _)| *epoch);
        let later = opened.max(fenced);
        if later > epoch {
            return Ok(Fence::Later(later));
        }
        state.fences.insert(product.clone(), (epoch, RebuildStep::PausingWorkers));
        if let Some(sale) = state.sales.get_mut(product) {
            sale.ready = false;
        }
        Ok(Fence::Stopped)
    }

    pub(super) fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), GateError> {
        let mut state = self.lock();
        if let Some(fence) = state.fences.get_mut(product).filter(|(fenced, _)| *fenced == epoch) {
            fence.1 = step;
        }
        Ok(())
    }

    pub(super) fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), GateError> {
        self.lock().staged.remove(&(product.clone(), epoch));
        Ok(())
    }

    pub(super) fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), GateError> {
        let mut state = self.lock();
        let staged = state.staged.entry((product.clone(), epoch)).or_default();
        staged.free.extend(free);
        let winners = purchases.iter().map(|bought| (bought.user.clone(), Winner::from_ledger(bought)));
        staged.buyers.extend(winners);
        Ok(())
    }

    pub(super) fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, GateError> {
        let mut state = self.lock();
        if state.sales.get(product).is_some_and(|sale| sale.ready && sale.epoch == epoch) {
            return Ok(Opening::Open);
        }
        if state.fences.get(product).is_none_or(|(fenced, _)| *fenced != epoch) {
            return Ok(Opening::Stale);
        }
        let Staged { free, buyers } = state.staged.remove(&(product.clone(), epoch)).unwrap_or_default();
        if free.len() + buyers.len() != next as usize {
            return Ok(Opening::Incomplete);
        }
        let sale = Sale {
            epoch,
            terms: terms.clone(),
            ready: true,
            next,
            revoked,
            free,
            buyers,
            outbox: BTreeMap::new(),
            dead: HashSet::new(),
            last_entry: EntryId::FIRST,
        };
        state.fences.remove(product);
        state.sales.insert(product.clone(), sale);
        Ok(Opening::Open)
    }
}

impl State {
    fn ready(&mut self, product: &ProductId) -> Result<&mut Sale, GateError> {
        self.sales.get_mut(product).filter(|sale| sale.ready).ok_or(GateError::NotReady)
    }
}

impl Winner {
    fn from_ledger(purchase: &Purchase) -> Self {
        let entry = EntryId::end_of(purchase.admitted_at);
        Self { unit: purchase.unit, id: purchase.id, entry }
    }
}

impl Sale {
    fn remaining(&self) -> u32 {
        let free = u32::try_from(self.free.len()).unwrap_or(u32::MAX);
        self.terms.total_stock.saturating_sub(self.next).saturating_add(free)
    }

    /// Takes a returned unit (the first, or the lowest of them), or the next one of the range.
    fn take_unit(&mut self, lowest: bool) -> Option<u32> {
        let position = if lowest {
            (0..self.free.len()).min_by_key(|position| self.free.get(*position))
        } else {
            Some(0)
        };
        if let Some(unit) = position.and_then(|position| self.free.remove(position)) {
            return Some(unit);
        }
        if self.next >= self.terms.total_stock {
            return None;
        }
        self.next += 1;
        Some(self.next)
    }

    /// Takes this unit, if nobody has it.
    fn take(&mut self, unit: u32) -> Option<u32> {
        const GAP_MAX: u32 = 1000;
        if let Some(position) = self.free.iter().position(|free| *free == unit) {
            return self.free.remove(position);
        }
        let reachable = self.next.saturating_add(GAP_MAX).min(self.terms.total_stock);
        if unit <= self.next || unit > reachable {
            return None;
        }
        self.free.extend(self.next + 1..unit);
        self.next = unit;
        Some(unit)
    }

    /// Writes the winner and the outbox entry.
    fn give(
        &mut self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
        unit: u32,
        now: chrono::DateTime<chrono::Utc>,
    ) -> OutboxEntry {
        let fresh = EntryId { sequence: 0, ..EntryId::end_of(now) };
        // A clock that stands or goes back does not reorder the outbox.
        let after_last = EntryId { sequence: self.last_entry.sequence + 1, ..self.last_entry };
        self.last_entry = fresh.max(after_last);
        let winner = Winner { unit, id, entry: self.last_entry };
        let entry = self.entry(product, user, &winner);
        self.buyers.insert(user.clone(), winner);
        self.outbox.insert(winner.entry, entry.clone());
        entry
    }

    fn entry(&self, product: &ProductId, user: &UserId, winner: &Winner) -> OutboxEntry {
        let purchase = Purchase {
            id: winner.id,
            product: product.clone(),
            user: user.clone(),
            unit: winner.unit,
            admitted_at: winner.entry.admitted_at(),
        };
        OutboxEntry { id: winner.entry, epoch: self.epoch, purchase }
    }

    fn state_of(&self, winner: &Winner) -> PurchaseState {
        if self.outbox.contains_key(&winner.entry) || self.dead.contains(&winner.id) {
            PurchaseState::Pending
        } else {
            PurchaseState::Confirmed
        }
    }
}

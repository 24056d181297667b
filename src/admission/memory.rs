//! The gate in memory, for the embedded mode: the same rules as the scripts, under one lock.
//!
//! Its state is made by a rebuild from the ledger at every start, as in Redis.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Admission, AdmissionError, Contents, Decision, Fence, Found, Opening, Reassignment, RebuildStep,
    WithdrawnUnit,
};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, PurchaseState, SaleState};
use crate::domain::{Terms, UserId};
use crate::runtime::Clock;

/// The gate in memory; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryAdmission {
    clock: Arc<dyn Clock>,
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
    outbox: BTreeMap<EntryId, Entry>,
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

impl MemoryAdmission {
    /// An empty gate: nothing is ready until a rebuild has opened it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, entries: &[Entry], dead: bool) {
        let Some(first) = entries.first() else { return };
        let mut state = self.lock();
        let Some(sale) = state.ready(&first.purchase.product).ok().filter(|sale| sale.epoch == first.epoch)
        else {
            return;
        };
        for Entry { id, purchase, .. } in entries {
            let deleted = sale.outbox.remove(id);
            if !dead {
                sale.dead.remove(&purchase.id);
            } else if deleted.is_some() {
                sale.dead.insert(purchase.id);
            }
        }
    }
}

#[async_trait]
impl Admission for MemoryAdmission {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let sale = state.ready(product)?;
        if let Some(winner) = sale.buyers.get(user) {
            let entry = sale.entry(product, user, winner);
            if winner.id == id {
                return Ok(Decision::Won(entry));
            }
            return Ok(Decision::Already(entry, sale.state_of(winner)));
        }
        if let Some(refused) = sale.terms.phase(now, sale.remaining()).refusal() {
            return Ok(Decision::Refused(refused));
        }
        let unit = sale.take_unit(false).ok_or(AdmissionError::NotReady)?;
        Ok(Decision::Won(sale.give(product, user, id, unit, now)))
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some((_, step)) = state.fences.get(product) {
            return Err(AdmissionError::Rebuilding(*step));
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

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        let mut state = self.lock();
        let sale = state.ready(product)?;
        Ok(match sale.buyers.get(user) {
            Some(winner) => Found::Purchase(sale.entry(product, user, winner), sale.state_of(winner)),
            None => Found::Nothing { revocations: sale.revoked },
        })
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        use std::ops::Bound::{Excluded, Included};
        let state = self.lock();
        let Some(sale) = state.sales.get(product).filter(|_| after < up_to) else { return Ok(Vec::new()) };
        let range = sale.outbox.range((Excluded(after), Included(up_to)));
        Ok(range.take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        let mut state = self.lock();
        let sale = state.ready(product)?;
        let winners = sale.buyers.iter().map(|(user, winner)| sale.entry(product, user, winner).purchase);
        let mut winners: Vec<_> = winners.collect();
        winners.sort_by_key(|winner| winner.unit);
        Ok(Contents { winners, free: sale.free.iter().copied().collect() })
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.forget(entries, false);
        Ok(())
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.forget(entries, true);
        Ok(())
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
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

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
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

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        let mut state = self.lock();
        let Ok(sale) = state.ready(&owner.product) else { return Ok(()) };
        if !sale.buyers.contains_key(&owner.user) {
            sale.free.retain(|unit| *unit != owner.unit);
            sale.buyers.insert(owner.user.clone(), Winner::from_ledger(owner));
        }
        Ok(())
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
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

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        let mut state = self.lock();
        let sale = state.ready(product).ok();
        let changed = sale.filter(|sale| sale.epoch == epoch && sale.next <= terms.total_stock);
        Ok(changed.map(|sale| sale.terms = terms.clone()).is_some())
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
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

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        let mut state = self.lock();
        if let Some(fence) = state.fences.get_mut(product).filter(|(fenced, _)| *fenced == epoch) {
            fence.1 = step;
        }
        Ok(())
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        self.lock().staged.remove(&(product.clone(), epoch));
        Ok(())
    }

    async fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), AdmissionError> {
        let mut state = self.lock();
        let staged = state.staged.entry((product.clone(), epoch)).or_default();
        staged.free.extend(free);
        let winners = purchases.iter().map(|bought| (bought.user.clone(), Winner::from_ledger(bought)));
        staged.buyers.extend(winners);
        Ok(())
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, AdmissionError> {
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

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(self.clone())
    }

    fn outlives_process(&self) -> bool {
        false
    }
}

impl State {
    fn ready(&mut self, product: &ProductId) -> Result<&mut Sale, AdmissionError> {
        self.sales.get_mut(product).filter(|sale| sale.ready).ok_or(AdmissionError::NotReady)
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
    ) -> Entry {
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

    fn entry(&self, product: &ProductId, user: &UserId, winner: &Winner) -> Entry {
        let purchase = Purchase {
            id: winner.id,
            product: product.clone(),
            user: user.clone(),
            unit: winner.unit,
            admitted_at: winner.entry.admitted_at(),
        };
        Entry { id: winner.entry, epoch: self.epoch, purchase }
    }

    fn state_of(&self, winner: &Winner) -> PurchaseState {
        if self.outbox.contains_key(&winner.entry) || self.dead.contains(&winner.id) {
            PurchaseState::Pending
        } else {
            PurchaseState::Confirmed
        }
    }
}

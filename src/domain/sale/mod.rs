//! The admission state machine: what admission keeps of one sale, and every operation on it.
//!
//! The machine is pure: time, ids and the identity of the server are arguments, and an operation
//! either changes the state as a whole or leaves it as it was. Each operation is the twin of one
//! script of the shared admission; a differential test runs both on the same random histories.
//! Where the two could differ, the comment says so.
//!
//! The state is distrusted. It may only be used while it is of the server that answers, is not
//! behind what the caller has seen, and is whole: `buyers + free = next + balance` (every unit up
//! to `next` has a buyer or is free, and every buyer has a unit, apart from the exceptions that
//! `balance` counts), and outbox and dead-lettered purchases are as many as were counted.

mod admit;
mod answers;
mod conflict;
mod known;
mod operator;
mod read;
mod rebuild;
mod rebuild_step;
mod settle;
mod winners;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{Entry, EntryId, ProductId, PurchaseId, SaleState, SystemId, Terms, UserId};

pub use answers::{Contents, Decision, Fence, Found, NotAdmitting, Opening, Reassignment, WithdrawnUnit};
pub use known::{Horizon, Known, Watermark};
pub use read::remaining;
pub use rebuild::{SnapshotTotals, StagedPart};
pub use rebuild_step::RebuildStep;
pub use winners::Winner;

/// The admission state of one sale. The fields are what the five keys of a product hold; they
/// are public so that a test can damage them.
#[derive(Clone, Debug)]
pub struct SaleMachine {
    product: ProductId,
    pub header: Header,
    /// Returned units, in the order in which they are sold again.
    pub free: VecDeque<u32>,
    pub buyers: HashMap<UserId, Winner>,
    pub outbox: Outbox,
    /// Purchases that the dead-letter queue has.
    pub dead: HashSet<PurchaseId>,
    /// By epoch: what a rebuild will put in place. The shared admission deletes it after an hour
    /// without a change, this machine never does.
    staged: HashMap<u64, Staged>,
}

/// What the hash `sale` holds.
#[derive(Clone, Debug, Default)]
pub enum Header {
    /// Never opened, or lost.
    #[default]
    Absent,
    /// Stopped: only a rebuild under `epoch` may open the sale.
    Fenced {
        epoch: u64,
        step: RebuildStep,
        system: Option<SystemId>,
    },
    Open(OpenSale),
}

#[derive(Clone, Debug)]
pub struct OpenSale {
    pub epoch: u64,
    pub terms: Terms,
    /// The highest unit that was ever handed out; the next fresh unit is `next + 1`.
    pub next: u32,
    /// The identity of the server that this state was made on. A server that restarted or was
    /// promoted has another one, and may hold an older state than the one that it answered from.
    /// Empty: the state was found to be rolled back.
    pub server: String,
    /// The system that the sale belongs to. `None`: it was not known when the sale was opened.
    pub system: Option<SystemId>,
    /// `buyers + free - next`: the users who may not buy and have no unit, less the units that are
    /// withheld and have no buyer, and what settled conflicts have added. 0 in a sale that never
    /// lost data, and in which no operator has cancelled or imported a purchase.
    pub balance: i64,
    /// How many entries the outbox must have.
    pub in_flight: i64,
    /// How many dead-lettered purchases there must be.
    pub dead: i64,
    /// Whether purchases of this sale were taken back, whose users may buy again;
    /// the ledger knows whose.
    pub revoked: bool,
    /// The epoch that the next one must be above, because a process has seen what this state lacks.
    pub seen: u64,
}

/// Admitted purchases that are not yet in the ledger, in the order of admission.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub entries: BTreeMap<EntryId, Entry>,
    /// The id of the latest entry, also after that entry was deleted.
    pub last: EntryId,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), last: EntryId::FIRST }
    }
}

#[derive(Clone, Debug, Default)]
struct Staged {
    free: VecDeque<u32>,
    buyers: HashMap<UserId, Winner>,
    dead: HashSet<PurchaseId>,
}

impl SaleMachine {
    /// A state that nothing can be sold from until a rebuild has opened it.
    pub fn new(product: ProductId) -> Self {
        Self {
            product,
            header: Header::default(),
            free: VecDeque::new(),
            buyers: HashMap::new(),
            outbox: Outbox::default(),
            dead: HashSet::new(),
            staged: HashMap::new(),
        }
    }

    fn open_sale(&self) -> Option<&OpenSale> {
        match &self.header {
            Header::Open(sale) => Some(sale),
            Header::Absent | Header::Fenced { .. } => None,
        }
    }

    fn open_sale_mut(&mut self) -> Option<&mut OpenSale> {
        match &mut self.header {
            Header::Open(sale) => Some(sale),
            Header::Absent | Header::Fenced { .. } => None,
        }
    }

    /// Fails where the state is another system's. Every operation of the shared admission begins
    /// with this. What is not known is not compared.
    pub fn check_owner(&self, system: Option<SystemId>) -> Result<(), NotAdmitting> {
        let owner = match &self.header {
            Header::Absent => None,
            Header::Fenced { system, .. } => *system,
            Header::Open(sale) => sale.system,
        };
        let is_of_another = owner.zip(system).is_some_and(|(owner, system)| owner != system);
        if is_of_another { Err(NotAdmitting::OtherSystem) } else { Ok(()) }
    }

    /// The open sale, if its state was made on this server and has what the caller has seen.
    fn ready(&self, known: Known<'_>) -> Result<&OpenSale, NotAdmitting> {
        let made_here = self.open_sale().filter(|sale| sale.server == known.server);
        let sale = made_here.ok_or(NotAdmitting::NotReady)?;
        Self::check_watermark(sale, known)?;
        Ok(sale)
    }

    fn check_watermark(sale: &OpenSale, known: Known<'_>) -> Result<(), NotAdmitting> {
        let is_behind = Watermark { epoch: sale.epoch, unit: sale.next } < known.watermark;
        if is_behind { Err(NotAdmitting::RolledBack) } else { Ok(()) }
    }

    /// Ends the use of a state that lacks what a process has seen, for every process.
    pub fn distrust(&mut self, seen: Watermark) {
        if let Some(sale) = self.open_sale_mut()
            && (Watermark { epoch: sale.epoch, unit: sale.next }) < seen
        {
            sale.server.clear();
            sale.seen = sale.seen.max(seen.surpassed_epoch());
        }
    }

    /// The integrity check. An error: a part of the state is gone, and so is the knowledge of
    /// who has which unit, or of what is recorded.
    fn check_integrity(&self, sale: &OpenSale) -> Result<(), NotAdmitting> {
        let is = |found: usize, counted: i64| i64::try_from(found).is_ok_and(|found| found == counted);
        let (held, next) = (self.buyers.len() + self.free.len(), sale.next);
        if !is(held, i64::from(next) + sale.balance) {
            return Err(NotAdmitting::Damaged { held, next });
        }
        let (entries, dead) = (self.outbox.entries.len(), self.dead.len());
        if !is(entries, sale.in_flight) || !is(dead, sale.dead) {
            return Err(NotAdmitting::Miscounted { entries, in_flight: sale.in_flight, dead, of: sale.dead });
        }
        Ok(())
    }
}

//! One purchase attempt, from user to answer: admit, send, wait for the confirm. The API and the web pages both
//! sell through here.
//!
//! This is the hot path: one round trip to Redis and one confirm of the broker, and no access to the database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::admission::{Admission, Found, Gate, GateError, RecentSales};
use crate::domain::{Durability, OutboxEntry, Outcome, ProductId, Purchase, PurchaseId, PurchaseState};
use crate::domain::{Revocation, SaleState, UserId};
use crate::ledger::{Ledger, LedgerError};
use crate::observability::{Attempt, Meter};
use crate::outbox::Publisher;
use crate::runtime::Clock;
use crate::runtime::crash_points::crash_point;
use crate::runtime::mutants::mutant;

/// What a buyer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The purchase is made, and is safe where `Durability` says.
    Success(Purchase, PurchaseState, Durability),
    /// It had been made before.
    Purchased(Purchase, PurchaseState),
    /// There is no unit for this user.
    Refused(Outcome),
}

impl Answer {
    /// The outcome alone.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Success(..) => Outcome::Success,
            Self::Purchased(..) => Outcome::Purchased,
            Self::Refused(outcome) => *outcome,
        }
    }
}

/// What is known of a user's purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseStatus {
    /// They have one.
    Purchased(Purchase, PurchaseState),
    /// They had one, and it was taken back.
    Revoked(Revocation),
    /// They have none.
    None,
}

/// Why a buyer gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Admission gave no decision.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The embedded ledger has not committed in time. Repeating is safe.
    #[error("the purchase is not in the database yet, the outcome is unknown")]
    NotCommitted,
    /// The ledger was needed and is away.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl CheckoutError {
    /// Whether the attempt may have taken effect.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Gate(error) => error.is_unknown(),
            Self::NotCommitted => true,
            Self::Ledger(_) => false,
        }
    }
}

/// Sells; clones share everything.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Decides.
    pub gate: Gate,
    /// Sends.
    pub publisher: Publisher,
    /// What is shown to those who look.
    pub recent: RecentSales,
    /// Asked only about purchases that were taken back.
    pub ledger: Ledger,
    /// Attempts that are with admission at a time. More wait their turn, in order: a stampede must not become a queue in
    /// front of Redis that is longer than anybody waits for its answers.
    pub turns: Arc<Semaphore>,
    /// How long an answer waits for the confirm.
    pub confirm_timeout: Duration,
    /// Longest time from the beginning of an attempt to a confirm that counts. A rebuild waits it out before it
    /// drains the queue; a confirm that comes later, to a process that was stopped in between, may be for a
    /// purchase that the drain has missed.
    pub confirm_counts_for: Duration,
    /// For the time in a purchase's id; no decision depends on it.
    pub clock: Clock,
    /// Counts.
    pub meter: Meter,
}

impl Checkout {
    /// The same, for a thread of a server: with a connection to Redis that this thread serves itself.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        let (gate, recent) = (self.gate.on_this_thread(), self.recent.on_this_thread());
        Self { gate, recent, meter: self.meter.on_this_thread(), ..self.clone() }
    }

    /// One attempt. Repeating it is safe: it yields the same purchase.
    pub async fn buy(&self, product: &ProductId, user: &UserId) -> Result<Answer, CheckoutError> {
        let began = Instant::now();
        let mut decided = None;
        let answer = self.attempt(product, user, &mut decided).await;
        let attempt = match &answer {
            Ok(answer) => answer.outcome().into(),
            Err(error) if error.is_unknown() => Attempt::Unknown,
            Err(_) => Attempt::NotReady,
        };
        self.meter.answered(product, attempt, began.elapsed(), decided);
        answer
    }

    /// `decided`: how long admission took, once it has decided.
    async fn attempt(
        &self,
        product: &ProductId,
        user: &UserId,
        decided: &mut Option<Duration>,
    ) -> Result<Answer, CheckoutError> {
        let id = PurchaseId::generate(self.clock.now());
        // It is never closed.
        let turn = self.turns.acquire().await;
        let began = Instant::now();
        let counts_until = began + self.confirm_counts_for;
        crash_point!("api-before-admission");
        let admission = match self.gate.admit(product, user, id).await {
            Err(error) if error.is_unknown() && mutant!("time-out-is-sold-out") => {
                return Ok(Answer::Refused(Outcome::SoldOut));
            }
            admission => admission?,
        };
        drop(turn);
        *decided = Some(began.elapsed());
        crash_point!("api-after-admission");
        match admission {
            Admission::Refused(outcome) => Ok(Answer::Refused(outcome)),
            Admission::Won(entry) => {
                self.recent.admitted();
                let purchase = entry.purchase.clone();
                let durability = self.deliver(entry, counts_until).await?;
                let state = match durability {
                    Durability::Database => PurchaseState::Confirmed,
                    Durability::Broker | Durability::Redis => PurchaseState::Pending,
                };
                Ok(Answer::Success(purchase, state, durability))
            }
            // Where an admission doesn't outlive the process, nobody is told of one that isn't in the ledger.
            Admission::Already(entry, PurchaseState::Pending) if !self.gate.outlives_process() => {
                let purchase = entry.purchase.clone();
                self.deliver(entry, counts_until).await?;
                Ok(Answer::Purchased(purchase, PurchaseState::Confirmed))
            }
            Admission::Already(entry, state) => Ok(Answer::Purchased(entry.purchase, state)),
        }
    }

    /// Sends a purchase and says where it is safe.
    async fn deliver(&self, entry: OutboxEntry, counts_until: Instant) -> Result<Durability, CheckoutError> {
        match self.publisher.send(entry, self.confirm_timeout).await {
            Some(Durability::Broker) if Instant::now() > counts_until => Ok(Durability::Redis),
            Some(durability) => Ok(durability),
            None if self.gate.outlives_process() => Ok(Durability::Redis),
            None => Err(CheckoutError::NotCommitted),
        }
    }

    /// A user's purchase.
    pub async fn status(&self, product: &ProductId, user: &UserId) -> Result<PurchaseStatus, CheckoutError> {
        match self.gate.find(product, user).await? {
            Found::Purchase(entry, state) => Ok(PurchaseStatus::Purchased(entry.purchase, state)),
            Found::Nothing { revocations: false } => Ok(PurchaseStatus::None),
            Found::Nothing { revocations: true } => {
                let revocation = self.ledger.revocation_of(product, user).await?;
                Ok(revocation.map_or(PurchaseStatus::None, PurchaseStatus::Revoked))
            }
        }
    }

    /// The sale as it stands, or stood a moment ago.
    pub async fn sale(&self, product: &ProductId) -> Result<SaleState, CheckoutError> {
        Ok(self.recent.sale(&self.gate, product).await?)
    }
}

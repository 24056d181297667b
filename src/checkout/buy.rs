//! One purchase attempt, from user to answer: admit, publish, await the confirm.
//!
//! This is the hot path: one round trip to admission and one confirm of the broker, and no access
//! to the database.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{CheckoutError, PurchaseStatus, SaleReader};
use crate::admission::{Admission, Decision};
use crate::config::Reader;
use crate::domain::{Durability, Entry, Outcome, ProductId, Purchase, PurchaseId, PurchaseState, UserId};
use crate::observability::{Attempt, Meter};
use crate::outbox::{Published, Publisher};
use crate::runtime::{Runtime, crash_points::crash_point};
use crate::stores::{EpochWatch, SalesWatch};

/// What a buyer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The purchase is made, and is safe where `Durability` says.
    Success(Purchase, PurchaseState, Durability),
    /// The purchase had been made before.
    Purchased(Purchase, PurchaseState),
    /// There is no unit for this user.
    Refused(Outcome),
}

impl Answer {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Success(..) => Outcome::Success,
            Self::Purchased(..) => Outcome::Purchased,
            Self::Refused(outcome) => *outcome,
        }
    }
}

/// Bounds of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct CheckoutOptions {
    /// How long an answer waits for the confirm.
    pub confirm_timeout: Duration,
    /// Attempts that are with admission at a time. More wait for a permit, in order: a stampede
    /// must not become a queue before admission that is longer than the timeout of its answers.
    pub in_flight_max: usize,
}

impl CheckoutOptions {
    pub fn read(reader: &mut Reader, in_flight_max: usize) -> Self {
        Self { confirm_timeout: reader.millis("broker.confirm_timeout_ms", 1..=60_000), in_flight_max }
    }
}

/// Sells. Clones share everything.
#[derive(Clone, Debug)]
pub struct Checkout {
    admission: Arc<dyn Admission>,
    publisher: Publisher,
    /// What is shown to readers; it must know of the units that this process has handed out.
    pub reader: SaleReader,
    permits: Arc<Semaphore>,
    epochs: EpochWatch,
    sales: SalesWatch,
    options: CheckoutOptions,
    runtime: Runtime,
    meter: Meter,
}

impl Checkout {
    pub fn new(
        reader: SaleReader,
        publisher: Publisher,
        epochs: EpochWatch,
        sales: SalesWatch,
        options: CheckoutOptions,
        runtime: &Runtime,
        meter: &Meter,
    ) -> Self {
        Self {
            admission: reader.admission().clone(),
            publisher,
            permits: Arc::new(Semaphore::new(options.in_flight_max)),
            epochs,
            sales,
            reader,
            options,
            runtime: runtime.clone(),
            meter: meter.clone(),
        }
    }

    /// The same, for a thread of a server, with resources of its own where that
    /// saves waking another thread.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        let reader = self.reader.on_this_thread();
        let admission = reader.admission().clone();
        Self { admission, reader, meter: self.meter.on_this_thread(), ..self.clone() }
    }

    /// One attempt. Repeating it is safe: it yields the same purchase.
    pub async fn buy(&self, product: &ProductId, user: &UserId) -> Result<Answer, CheckoutError> {
        let began = self.runtime.instant();
        let mut decided = None;
        let answer = self.attempt(product, user, &mut decided).await;
        let attempt = match &answer {
            Ok(answer) => answer.outcome().into(),
            Err(error) if error.is_unknown() => Attempt::Unknown,
            Err(_) => Attempt::NotReady,
        };
        self.meter.answered(product, attempt, self.runtime.instant() - began, decided);
        answer
    }

    /// `decided`: how long admission took, once it has decided.
    async fn attempt(
        &self,
        product: &ProductId,
        user: &UserId,
        decided: &mut Option<Duration>,
    ) -> Result<Answer, CheckoutError> {
        let random = [self.runtime.entropy.bits(), self.runtime.entropy.bits()];
        let id = PurchaseId::new(self.runtime.clock.now(), random);
        // An error would mean that the semaphore was closed, which nothing does.
        let permit = self.permits.acquire().await;
        let began = self.runtime.instant();
        crash_point!("api-before-admission");
        let decision = self.admission.admit(product, user, id).await;
        let decision = decision.inspect_err(|error| self.sales.refused(product, error))?;
        drop(permit);
        *decided = Some(self.runtime.instant() - began);
        crash_point!("api-after-admission");
        match decision {
            Decision::Refused(outcome) => Ok(Answer::Refused(outcome)),
            Decision::Won(entry) => {
                self.reader.admitted();
                let purchase = entry.purchase.clone();
                let published = self.publisher.publish(entry, self.options.confirm_timeout).await;
                match self.delivered(published)? {
                    Durability::Database => self.recorded(&purchase, true).await,
                    durability => Ok(Answer::Success(purchase, PurchaseState::Pending, durability)),
                }
            }
            Decision::InOutbox(entry) => self.attempt_again(entry).await,
            // Where an admission does not outlive the process, no buyer is told of one that is not
            // in the ledger.
            Decision::Already(entry, PurchaseState::Pending) if !self.admission.outlives_process() => {
                self.attempt_again(entry).await
            }
            Decision::Already(entry, state) => Ok(Answer::Purchased(entry.purchase, state)),
        }
    }

    /// The answer to the attempt that won may have been lost before anything was published: who
    /// asks again is told of the purchase once it is as safe as if that had not happened.
    async fn attempt_again(&self, entry: Entry) -> Result<Answer, CheckoutError> {
        let purchase = entry.purchase.clone();
        match self.delivered(self.publisher.publish_again(entry, self.options.confirm_timeout).await)? {
            Durability::Database => self.recorded(&purchase, false).await,
            _ => Ok(Answer::Purchased(purchase, PurchaseState::Pending)),
        }
    }

    /// What became of an admitted purchase that the ledger has decided on: where the ledger had a
    /// conflict, it is recorded under another unit than it was admitted with, or taken back.
    async fn recorded(&self, admitted: &Purchase, is_new: bool) -> Result<Answer, CheckoutError> {
        let status = self.reader.status(&admitted.product, &admitted.user).await;
        match status.map_err(|_unreadable| CheckoutError::NotCommitted)? {
            PurchaseStatus::Purchased(purchase, state) if is_new && purchase.id == admitted.id => {
                Ok(Answer::Success(purchase, state, Durability::Database))
            }
            PurchaseStatus::Purchased(purchase, state) => Ok(Answer::Purchased(purchase, state)),
            PurchaseStatus::Revoked(_) | PurchaseStatus::None => Ok(Answer::Refused(Outcome::SoldOut)),
        }
    }

    /// Where a published purchase is safe.
    fn delivered(&self, published: Published) -> Result<Durability, CheckoutError> {
        match published {
            Published::Confirmed(durability) => return Ok(durability),
            Published::Fenced => self.epochs.suspect(),
            Published::Unconfirmed => {}
        }
        if self.admission.outlives_process() {
            Ok(Durability::Redis)
        } else {
            Err(CheckoutError::NotCommitted)
        }
    }
}

//! Keeps admission true to the ledger. One process leads, elected by the ledger; it prepares sales,
//! rebuilds admission after a loss, carries changed terms and operators' decisions about purchases
//! over, and sweeps the outbox.

mod bindings;
mod carry_over;
mod drain;
mod drift;
mod obstacle;
mod operator;
mod options;
mod rebuild;
mod reconcile;
mod snapshot;
mod sources;
mod stalled_queue;
mod trouble;

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::admission::{AdmissionError, Opening};
use crate::broker::{Bindings, BrokerError};
use crate::domain::{ProductId, SaleState, Terms};
use crate::ledger::{Leadership, LedgerError, LedgerSale};
use crate::observability::Telemetry;
use crate::outbox::Sweeper;
use crate::runtime::{Runtime, error_chain};
use crate::stores::Stores;
use crate::worker::StepError;
pub use drift::Drift;
use obstacle::Obstacles;
pub use operator::Requests;
pub use options::RecoveryOptions;
pub use reconcile::{Comparison, Repair, Repairs, compare, repair};
use trouble::Trouble;

/// How often the leader compares the sales of admission with those of the ledger.
const ROUND_INTERVAL: Duration = Duration::from_millis(500);
/// A process that has just started waits so long for its first connection to the broker: a sale
/// that opened before would sell without the broker's confirm at first.
const FIRST_CONNECTION_MAX: Duration = Duration::from_secs(2);
/// When to compare again after a store could not be read.
const COMPARE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Why a round did not finish. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The ledger can't be reached, or the lead is lost.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What was drained could not be recorded.
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("the broker's bindings, and so its fence, are out of reach")]
    BindingsNotHeld,
    #[error("{0} consumers have not left the queue")]
    ConsumersStay(u32),
    #[error("the queue holds back {0} messages")]
    QueueStalls(u32),
    #[error("admission could not be stopped: its state claims epoch {0}")]
    NotStopped(u64),
    /// Of one product, with the reason.
    #[error("not rebuilt yet, trying again: {0}")]
    NotRebuilt(String),
    #[error("the rebuilt state was not put in place: {0}")]
    NotOpened(Opening),
}

/// Returns whether every product was compared.
type Comparing = BoxFuture<'static, bool>;

/// The leader's work.
pub struct Recovery {
    stores: Stores,
    telemetry: Telemetry,
    options: RecoveryOptions,
    sweeper: Sweeper,
    /// Held while this process leads and reaches the broker.
    bindings: Option<Box<dyn Bindings>>,
    broker_awaited_until: Instant,
    /// What only an operator can do.
    requests: Requests,
    ask_dead_letters_at: Instant,
    /// When the queue of purchases was replaced.
    replaced_at: Option<Instant>,
    no_election: Trouble,
    not_bound: Trouble,
    /// The latest logged failure of each product.
    failures: BTreeMap<ProductId, String>,
    drift: Drift,
    /// When the next comparison is due.
    compare_at: Instant,
    runtime: Runtime,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Recovery").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Recovery {
    pub fn new(stores: Stores, telemetry: Telemetry, options: RecoveryOptions, runtime: &Runtime) -> Self {
        let sweeper = Sweeper::new(stores.clone(), options.sweep_after, runtime);
        Self {
            stores,
            telemetry,
            options,
            sweeper,
            bindings: None,
            broker_awaited_until: runtime.instant() + FIRST_CONNECTION_MAX,
            requests: Requests::default(),
            ask_dead_letters_at: runtime.instant(),
            replaced_at: None,
            no_election: Trouble::new("no leader can be elected from here"),
            not_bound: Trouble::new("the queue is not bound to the sales"),
            failures: BTreeMap::new(),
            drift: Drift::default(),
            compare_at: runtime.instant(),
            runtime: runtime.clone(),
        }
    }

    /// What the comparisons find.
    pub fn drift(&self) -> Drift {
        self.drift.clone()
    }

    /// What an operator must do for the queues.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Leads whenever no other process does, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut leader, mut comparison) = (None, None);
        loop {
            let (runtime, mut is_complete, mut was_compared) = (self.runtime.clone(), false, true);
            {
                let round = async {
                    (leader, is_complete) = self.round_as(leader.take()).await;
                    runtime.sleep(ROUND_INTERVAL).await;
                };
                tokio::pin!(round);
                // The comparison goes on beside the rounds.
                loop {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = &mut round => break,
                        ended = poll(&mut comparison) => (comparison, was_compared) = (None, ended),
                    }
                }
            }
            if !was_compared {
                self.compare_at = self.runtime.instant() + COMPARE_AGAIN_AFTER;
            }
            comparison = self.compare_when_due(comparison, leader.is_some(), is_complete);
        }
    }

    /// One round, if this process leads or can take the lead. Returns the lead, unless it is lost,
    /// and whether the round was complete.
    async fn round_as(&mut self, leader: Option<Box<dyn Leadership>>) -> (Option<Box<dyn Leadership>>, bool) {
        let mut leader = match leader {
            Some(leader) => leader,
            None => match self.stores.ledger.lead().await {
                Ok(elected) => {
                    self.no_election.ended(self.runtime.instant());
                    match elected {
                        Some(elected) => elected,
                        None => return (None, false),
                    }
                }
                Err(error) => {
                    self.no_election.goes_on(self.runtime.instant(), &error_chain(&error));
                    return (None, false);
                }
            },
        };
        let round = self.round(&mut *leader).await;
        if let Err(error) = &round {
            tracing::debug!(error = error_chain(error), "the round ended early");
        }
        let leader = leader.check().await.is_ok().then_some(leader);
        if leader.is_none() {
            // For the next leader.
            self.bindings = None;
            self.not_bound.ended(self.runtime.instant());
        }
        (leader, round.is_ok())
    }

    /// The comparison that is under way, or a new one if that is due. Only the leader compares,
    /// after a complete round: at first at once, because a database that was restored to an earlier
    /// state has ended the sessions of the former leader.
    fn compare_when_due(
        &mut self,
        under_way: Option<Comparing>,
        leads: bool,
        is_complete: bool,
    ) -> Option<Comparing> {
        if !leads {
            self.compare_at = self.runtime.instant();
            self.drift.clear();
            self.requests.clear();
            return None;
        }
        let is_due = is_complete
            && self.runtime.instant() >= self.compare_at
            && self.stores.admission.outlives_process();
        if !is_due || under_way.is_some() {
            return under_way;
        }
        self.compare_at = self.runtime.instant() + self.options.reconcile_interval;
        let comparison = self.drift.clone().compare(self.stores.clone(), self.runtime.clone());
        // A comparison that panics must not end the recovery.
        let contained = AssertUnwindSafe(comparison).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|_panic| {
                tracing::error!("the comparison of admission and ledger panicked");
                true
            })
        });
        Some(contained.boxed())
    }

    /// Compares every product's admission state with the ledger, once, and does what is needed. A
    /// failure of one product does not hold up the others.
    pub async fn round(&mut self, leader: &mut dyn Leadership) -> Result<(), RecoveryError> {
        self.hold_bindings(leader).await?;
        let (mut broken, mut selling, mut obstacles) = (Vec::new(), Vec::new(), Obstacles::default());
        for sale in self.stores.ledger.sales().await? {
            let product = sale.product.clone();
            let maintained = match self.stores.admission.sale(&product).await {
                Ok(state) => {
                    if let Some(reason) = mismatch(&state, &sale) {
                        broken.push((sale, reason.to_owned()));
                        continue;
                    }
                    selling.push((product.clone(), sale.epoch));
                    obstacles.add(&sale, &state);
                    self.maintain(&sale, &state).await
                }
                Err(AdmissionError::NotReady | AdmissionError::Rebuilding(_)) => {
                    let new = sale.epoch == 0;
                    let reason = if new { "it is new" } else { "admission has no usable state of it" };
                    broken.push((sale, reason.to_owned()));
                    continue;
                }
                Err(error @ (AdmissionError::Malformed(_) | AdmissionError::Damaged(_))) => {
                    broken.push((sale, error_chain(&error)));
                    continue;
                }
                Err(error) => {
                    obstacles.not_intact();
                    selling.push((product.clone(), sale.opened_epoch));
                    Err(error.into())
                }
            };
            self.note(&product, maintained);
        }
        self.replace_stalled_queues(leader, obstacles, &broken).await?;
        self.bind(&selling).await;
        // A rebuild makes what a change asks for as well, and must not wait for it.
        let carried_over = self.carry_over(&selling).await;
        if broken.is_empty() { carried_over } else { self.rebuild(leader, broken).await }
    }

    /// Logs what is wrong with a product once, not in every round.
    fn note(&mut self, product: &ProductId, maintained: Result<(), RecoveryError>) {
        match maintained {
            Ok(()) => drop(self.failures.remove(product)),
            Err(error) => {
                let failure = error_chain(&error);
                if self.failures.get(product) != Some(&failure) {
                    tracing::warn!(%product, "this product is not maintained: {failure}");
                    self.failures.insert(product.clone(), failure);
                }
            }
        }
    }

    /// Carries changed terms over, and sweeps.
    async fn maintain(&mut self, sale: &LedgerSale, state: &SaleState) -> Result<(), RecoveryError> {
        let LedgerSale { product, epoch, terms, lower_stock_to, .. } = sale;
        let total_stock = lower_stock_to.unwrap_or(terms.total_stock);
        let terms = Terms { total_stock, ..terms.clone() };
        let agreed = state.terms == terms || self.stores.admission.configure(product, *epoch, &terms).await?;
        if agreed && state.terms != terms {
            tracing::info!(%product, "the terms have changed: {terms}");
        }
        if let Some(wanted) = *lower_stock_to
            && !self.stores.ledger.settle_stock(product, wanted, agreed).await?
        {
            tracing::warn!(
                %product, total_stock,
                "the catalogue's total_stock is not obeyed: more units are handed out already"
            );
        }
        if state.in_flight > 0 {
            match self.sweeper.sweep(product, state).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(%product, swept, "sent again from the outbox"),
                Err(error) => tracing::debug!(error = error_chain(&error), %product, "the sweep ended early"),
            }
        }
        Ok(())
    }
}

/// Why the admission state can't be trusted, if so.
fn mismatch(state: &SaleState, sale: &LedgerSale) -> Option<&'static str> {
    if state.epoch != sale.epoch {
        Some("its epoch is not the ledger's")
    } else if state.next < sale.highest_unit {
        Some("it is behind the ledger: admission was rolled back")
    } else {
        None
    }
}

async fn poll(future: &mut Option<Comparing>) -> bool {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

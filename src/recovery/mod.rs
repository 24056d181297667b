//! Keeps admission true to the ledger. One process leads, elected by the ledger; it prepares sales, rebuilds
//! admission after a loss, carries changed terms over, and sweeps the outbox.

mod drain;
mod drift;
mod rebuild;
mod reconcile;

use std::{collections::HashMap, time::Duration};

pub use drift::Drift;
pub use reconcile::{Comparison, Repairs, compare, repair};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::admission::GateError;
use crate::domain::{ProductId, SaleState, Terms};
use crate::ledger::{Leader, LedgerError, LedgerSale};
use crate::outbox::Sweeper;
use crate::runtime::mutants::mutant;
use crate::worker::{StepError, Stores};

/// How often the leader compares admission with the ledger.
const ROUND_INTERVAL: Duration = Duration::from_millis(500);

/// How the leader works.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// Age from which outbox entries are sent again.
    pub sweep_after: Duration,
    /// Longest time from an admission to the answer that its publish was confirmed. A rebuild waits it out, so
    /// that no such answer is given after the queue was drained.
    pub settle_time: Duration,
    /// How often admission is compared with the ledger, purchase by purchase.
    pub reconcile_interval: Duration,
}

/// Why a round did not finish. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The ledger is away, or the lead is lost.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Redis is away.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The broker is away.
    #[error(transparent)]
    Broker(#[from] crate::broker::BrokerError),
    /// What was drained could not be recorded.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Workers still consume.
    #[error("{0} consumers have not left the queue")]
    ConsumersStay(u32),
    /// The queue does not give what it says that it holds.
    #[error("the queue holds back {0} messages")]
    QueueStalls(u32),
    /// The sale's state claims a later epoch than any that it is given.
    #[error("admission could not be stopped: its state claims epoch {0}")]
    NotStopped(u64),
    /// Of a product, with the reason.
    #[error("not rebuilt yet, trying again: {0}")]
    NotRebuilt(String),
    /// The new state was refused.
    #[error("the rebuilt state was not put in place: {0:?}")]
    NotOpened(crate::admission::Opening),
}

/// The leader's work.
#[derive(Debug)]
pub struct Recovery {
    stores: Stores,
    options: RecoveryOptions,
    sweeper: Sweeper,
    /// What was last said to be wrong.
    troubles: HashMap<ProductId, String>,
    drift: Drift,
    /// When the next comparison is due, and the one that is under way.
    compare_at: Instant,
    comparing: JoinSet<()>,
}

impl Recovery {
    /// Ready to lead.
    pub fn new(stores: Stores, options: RecoveryOptions) -> Self {
        let sweeper = Sweeper::new(stores.gate.clone(), stores.broker.clone(), options.sweep_after);
        let compare_at = Instant::now() + options.reconcile_interval;
        let (drift, comparing) = (Drift::default(), JoinSet::new());
        Self { stores, options, sweeper, troubles: HashMap::new(), drift, compare_at, comparing }
    }

    /// What the comparisons find.
    pub fn drift(&self) -> Drift {
        self.drift.clone()
    }

    /// Leads whenever no other process does, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut leader = None;
        loop {
            let round = async {
                let led = leader.is_some();
                leader = self.round_as(leader.take()).await;
                if led && leader.is_none() {
                    self.comparing.abort_all();
                    self.drift.forget();
                }
                tokio::time::sleep(ROUND_INTERVAL).await;
            };
            tokio::select! {
                () = round => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One round, if this process leads or can take the lead. Returns the lead, unless it is lost.
    async fn round_as(&mut self, leader: Option<Leader>) -> Option<Leader> {
        let mut leader = match leader {
            Some(leader) => leader,
            None => match self.stores.ledger.lead().await {
                Ok(elected) => elected?,
                Err(error) => {
                    tracing::debug!(%error, "no election");
                    return None;
                }
            },
        };
        match self.round(&mut leader).await {
            Ok(()) => self.compare_when_due(),
            Err(error) => tracing::debug!(%error, "the round ended early"),
        }
        leader.check().await.is_ok().then_some(leader)
    }

    /// Starts the comparison beside the rounds, which must go on meanwhile.
    fn compare_when_due(&mut self) {
        while self.comparing.try_join_next().is_some() {}
        if Instant::now() >= self.compare_at
            && self.comparing.is_empty()
            && self.stores.gate.outlives_process()
        {
            self.comparing.spawn(self.drift.clone().look(self.stores.clone()));
            self.compare_at = Instant::now() + self.options.reconcile_interval;
        }
    }

    /// Compares every product's admission state with the ledger, once, and does what is needed. What is wrong with
    /// one product does not keep the others from it.
    pub async fn round(&mut self, leader: &mut Leader) -> Result<(), RecoveryError> {
        let mut broken = Vec::new();
        for sale in self.stores.ledger.sales().await? {
            let product = sale.product.clone();
            let tended = match self.stores.gate.sale(&product).await {
                Ok(state) => match mismatch(&state, &sale) {
                    Some(reason) => {
                        broken.push((sale, reason.to_owned()));
                        continue;
                    }
                    None => self.tend(&sale, &state).await,
                },
                Err(GateError::NotReady | GateError::Rebuilding(_)) => {
                    let new = sale.epoch == 0;
                    let reason = if new { "it is new" } else { "admission has no usable state of it" };
                    broken.push((sale, reason.to_owned()));
                    continue;
                }
                Err(error @ (GateError::Malformed(_) | GateError::Foreign(_))) => {
                    broken.push((sale, error.to_string()));
                    continue;
                }
                Err(error) => Err(error.into()),
            };
            self.note(&product, tended);
        }
        if broken.is_empty() { Ok(()) } else { self.rebuild(leader, broken).await }
    }

    /// Logs what is wrong with a product once, not in every round.
    fn note(&mut self, product: &ProductId, tended: Result<(), RecoveryError>) {
        match tended {
            Ok(()) => drop(self.troubles.remove(product)),
            Err(error) => {
                let trouble = error.to_string();
                if self.troubles.get(product) != Some(&trouble) {
                    tracing::warn!(%product, "this product is not looked after: {trouble}");
                    self.troubles.insert(product.clone(), trouble);
                }
            }
        }
    }

    /// Carries changed terms over, and sweeps.
    async fn tend(&mut self, sale: &LedgerSale, state: &SaleState) -> Result<(), RecoveryError> {
        let LedgerSale { product, epoch, terms, lower_stock_to, .. } = sale;
        let total_stock = lower_stock_to.unwrap_or(terms.total_stock);
        let terms = Terms { total_stock, ..terms.clone() };
        let agreed = state.terms == terms || self.stores.gate.configure(product, *epoch, &terms).await?;
        if agreed && state.terms != terms {
            tracing::info!(%product, ?terms, "the terms have changed");
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
                Err(error) => tracing::debug!(%error, %product, "the sweep ended early"),
            }
        }
        Ok(())
    }
}

/// Why the admission state can't be trusted, if so.
fn mismatch(state: &SaleState, sale: &LedgerSale) -> Option<&'static str> {
    if state.epoch != sale.epoch {
        Some("its epoch is not the ledger's")
    } else if state.next < sale.highest_unit && !mutant!("reset-stock") {
        Some("it is behind the ledger: Redis was rolled back")
    } else {
        None
    }
}

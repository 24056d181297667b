//! Keeps admission true to the ledger. One process leads, elected by the ledger; it prepares sales, rebuilds
//! admission after a loss, carries changed terms over, and sweeps the outbox.

mod drain;
mod rebuild;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::admission::GateError;
use crate::domain::SaleState;
use crate::ledger::{Leader, LedgerError, LedgerSale};
use crate::outbox::Sweeper;
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
}

impl Recovery {
    /// Ready to lead.
    pub fn new(stores: Stores, options: RecoveryOptions) -> Self {
        let sweeper = Sweeper::new(stores.gate.clone(), stores.broker.clone(), options.sweep_after);
        Self { stores, options, sweeper }
    }

    /// Leads whenever no other process does, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut leader = None;
        loop {
            let round = async {
                leader = self.round_as(leader.take()).await;
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
        if let Err(error) = self.round(&mut leader).await {
            tracing::debug!(%error, "the round ended early");
        }
        leader.check().await.is_ok().then_some(leader)
    }

    /// Compares every product's admission state with the ledger, once, and does what is needed.
    pub async fn round(&mut self, leader: &mut Leader) -> Result<(), RecoveryError> {
        for sale in self.stores.ledger.sales().await? {
            match self.stores.gate.sale(&sale.product).await {
                Ok(state) => match mismatch(&state, &sale) {
                    Some(reason) => self.rebuild(leader, &sale, reason).await?,
                    None => self.tend(&sale, &state).await?,
                },
                Err(GateError::NotReady) => {
                    let reason =
                        if sale.epoch == 0 { "it is new" } else { "admission has no usable state of it" };
                    self.rebuild(leader, &sale, reason).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Carries changed terms over, and sweeps.
    async fn tend(&mut self, sale: &LedgerSale, state: &SaleState) -> Result<(), RecoveryError> {
        let LedgerSale { product, epoch, terms, .. } = sale;
        if state.terms != *terms && self.stores.gate.configure(product, *epoch, terms).await? {
            tracing::info!(%product, ?terms, "the terms have changed");
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
    } else if state.next < sale.highest_unit {
        Some("it is behind the ledger: Redis was rolled back")
    } else {
        None
    }
}

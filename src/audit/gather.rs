//! Reads what the stores hold of one product, once nothing is on its way any more.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{AdmissionState, Evidence};
use crate::admission::{Admission, AdmissionError};
use crate::broker::{Broker, BrokerError};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, Terms};
use crate::ledger::{Ledger, LedgerError};

/// Rows and outbox entries read at a time.
const PAGE: u32 = 5_000;
/// How often the stores are asked whether everything has arrived.
const PATIENCE: Duration = Duration::from_millis(250);

/// Why the evidence is not complete.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Admission can't be read.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The queues can't be read.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The ledger has no such product.
    #[error("there is no product {0} in the ledger")]
    UnknownProduct(ProductId),
    /// Purchases were still on their way when the time was up.
    #[error("{in_flight} purchases are still on their way, {queued} messages in the queue")]
    Unsettled {
        /// In the outbox.
        in_flight: u64,
        /// Ready in the queue.
        queued: u32,
    },
}

/// How far a sale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Units that nobody has.
    pub remaining: Option<u32>,
    /// Purchases in the outbox.
    pub in_flight: Option<u64>,
    /// Purchases in the ledger.
    pub rows: u64,
}

/// The stores of a system; `None` where one can't be read from here (the embedded mode's, from another process).
#[derive(Clone, Debug)]
pub struct Sources {
    /// Who bought which unit.
    pub ledger: Arc<dyn Ledger>,
    /// Admission.
    pub admission: Option<Arc<dyn Admission>>,
    /// The queues.
    pub broker: Option<Arc<dyn Broker>>,
}

impl Sources {
    /// Waits until outbox and queue are empty, at most until `patience` has passed.
    pub async fn settle(&self, product: &ProductId, patience: Duration) -> Result<(), GatherError> {
        self.terms(product).await?;
        let deadline = Instant::now() + patience;
        loop {
            let looked = self.on_their_way(product).await;
            match looked {
                Ok((0, 0)) => return Ok(()),
                Ok((in_flight, queued)) if Instant::now() > deadline => {
                    return Err(GatherError::Unsettled { in_flight, queued });
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => sleep(PATIENCE).await,
            }
        }
    }

    async fn terms(&self, product: &ProductId) -> Result<Terms, GatherError> {
        let sales = self.ledger.sales().await?;
        let sale = sales.into_iter().find(|sale| sale.product == *product);
        Ok(sale.ok_or_else(|| GatherError::UnknownProduct(product.clone()))?.terms)
    }

    async fn on_their_way(&self, product: &ProductId) -> Result<(u64, u32), GatherError> {
        let in_flight = match &self.admission {
            Some(gate) => gate.sale(product).await?.in_flight,
            None => 0,
        };
        Ok((in_flight, self.queued().await?.unwrap_or(0)))
    }

    async fn queued(&self) -> Result<Option<u32>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(None) };
        let mut queue = broker.consumer().await?;
        let state = queue.state().await;
        queue.close().await;
        Ok(Some(state?.ready))
    }

    /// Reads everything. In this order nothing that moves on meanwhile is missed: winners, outbox, queues, rows.
    pub async fn gather(&self, product: &ProductId) -> Result<Evidence, GatherError> {
        let admission = match &self.admission {
            Some(gate) => Some(admission(&**gate, product).await?),
            None => None,
        };
        let queued = self.queued().await?;
        let dead = self.dead(product).await?;
        let terms = self.terms(product).await?;
        let mut rows = Vec::new();
        loop {
            let last = rows.last().map_or(0, |row: &Purchase| row.unit);
            let page = self.ledger.purchases(product, last, PAGE).await?;
            if page.is_empty() {
                break;
            }
            rows.extend(page);
        }
        let revocations = self.ledger.revocations(product).await?;
        let revocations =
            revocations.into_iter().map(|(id, user)| (id.to_string(), user.to_string())).collect();
        let (confirmed_at, before) = (HashMap::new(), HashSet::new());
        Ok(Evidence { terms, rows, confirmed_at, before, revocations, admission, queued, dead })
    }

    /// When each row's transaction began, which [`Sources::gather`] leaves out: nothing but a load test asks.
    pub async fn confirmed_at(
        &self,
        product: &ProductId,
    ) -> Result<HashMap<PurchaseId, DateTime<Utc>>, GatherError> {
        let (mut times, mut last) = (HashMap::new(), 0);
        loop {
            let page = self.ledger.confirmations(product, last, PAGE).await?;
            let Some(highest) = page.last() else { return Ok(times) };
            last = highest.unit;
            times.extend(page.into_iter().map(|confirmation| (confirmation.id, confirmation.at)));
        }
    }

    /// How far a sale is, at little cost: a look that can be repeated while it runs.
    pub async fn counts(&self, product: &ProductId) -> Result<Counts, GatherError> {
        let sale = match &self.admission {
            Some(gate) => Some(gate.sale(product).await?),
            None => None,
        };
        Ok(Counts {
            remaining: sale.as_ref().map(|sale| sale.remaining),
            in_flight: sale.as_ref().map(|sale| sale.in_flight),
            rows: self.ledger.count(product).await?,
        })
    }

    async fn dead(&self, product: &ProductId) -> Result<Vec<Purchase>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(Vec::new()) };
        let Some(letters) = broker.dead_letters().await? else { return Ok(Vec::new()) };
        let mut dead: Vec<_> = letters
            .letters()
            .iter()
            .flat_map(|letter| &letter.entries)
            .map(|entry| entry.purchase.clone())
            .collect();
        letters.close().await;
        dead.retain(|purchase| purchase.product == *product);
        dead.sort_by_key(|purchase| purchase.id);
        dead.dedup_by_key(|purchase| purchase.id);
        Ok(dead)
    }
}

async fn admission(gate: &dyn Admission, product: &ProductId) -> Result<AdmissionState, AdmissionError> {
    let before = gate.sale(product).await?;
    let contents = gate.contents(product).await?;
    let mut outbox = Vec::new();
    loop {
        let after = outbox.last().map_or(EntryId::FIRST, |entry: &Entry| entry.id);
        let page = gate.outbox(product, after, EntryId::LAST, PAGE as usize).await?;
        if page.is_empty() {
            break;
        }
        outbox.extend(page);
    }
    let sale = gate.sale(product).await?;
    let at_rest = (before.next, before.remaining) == (sale.next, sale.remaining);
    Ok(AdmissionState { sale, winners: contents.winners, free: contents.free, outbox, at_rest })
}

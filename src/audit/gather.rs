//! Waits until all purchases are recorded, and reads what the stores hold of one product.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{AdmissionState, CancelledRow, Evidence, History, empty_messages};
use crate::admission::{Admission, AdmissionError, Contents};
use crate::broker::{Broker, BrokerError, DeadLetters};
use crate::domain::{
    AdmissionChange, Cancellation, ChangeKind, Conservation, Entry, EntryId, ProductId, Purchase, PurchaseId,
    RecordedPurchase, Terms,
};
use crate::ledger::{Ledger, LedgerError};
use crate::runtime::{Runtime, error_chain};
use crate::stores::Stores;

/// Rows and outbox entries per read.
const PAGE: u32 = 5_000;
const POLL_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("there is no product {0} in the ledger")]
    UnknownProduct(ProductId),
    #[error(
        "{in_flight} purchases are still in flight, {queued} messages in the queue, {changes} decisions of \
         operators are not carried over to admission"
    )]
    Unsettled { in_flight: u64, queued: u32, changes: usize },
}

/// The progress of a sale, at little cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub remaining: Option<u32>,
    pub in_flight: Option<u64>,
    /// Purchases in the ledger.
    pub rows: u64,
}

/// The stores of a system. `None`: the store belongs to another process (in embedded mode).
#[derive(Clone, Debug)]
pub struct Sources {
    pub ledger: Arc<dyn Ledger>,
    pub admission: Option<Arc<dyn Admission>>,
    pub broker: Option<Arc<dyn Broker>>,
}

impl From<Stores> for Sources {
    fn from(Stores { admission, broker, ledger }: Stores) -> Self {
        Self { ledger, admission: Some(admission), broker: Some(broker) }
    }
}

impl Sources {
    /// `None`: not all stores can be read from here.
    pub fn stores(&self) -> Option<Stores> {
        let (admission, broker) = (self.admission.clone()?, self.broker.clone()?);
        Some(Stores { admission, broker, ledger: self.ledger.clone() })
    }

    /// Waits until outbox and queue are empty, operators' decisions are carried over, and every
    /// purchase that the history promises is recorded, revoked or dead-lettered: what a publisher
    /// keeps in memory, and what a consumer held that is gone, is in neither. Where the time is
    /// over and only promises are missing, the audit finds them.
    pub async fn settle(
        &self,
        product: &ProductId,
        history: Option<&History>,
        timeout: Duration,
        runtime: &Runtime,
    ) -> Result<(), GatherError> {
        self.terms(product).await?;
        let deadline = runtime.instant() + timeout;
        let mut promised = history.map(History::promised).unwrap_or_default();
        let mut queue_of_proofs = self.broker.as_deref();
        loop {
            let is_over = runtime.instant() > deadline;
            let in_flight = self.in_flight(product).await;
            if matches!(in_flight, Ok((0, 1.., _)))
                && let Some(broker) = queue_of_proofs.take()
            {
                // Where no worker runs, they would pass for purchases on their way.
                if let Err(error) = empty_messages::remove(broker, runtime).await {
                    tracing::debug!(error = error_chain(&error), "messages without purchases stay");
                }
                continue;
            }
            match in_flight {
                Ok((0, 0, 0)) if is_over => return Ok(()),
                Ok((0, 0, 0)) => match self.have_settled(product, &mut promised).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    // A store may be away for a moment, and others may be reading the dead letters.
                    Err(error) => tracing::debug!(error = error_chain(&error), "not settled yet"),
                },
                Ok((in_flight, queued, changes)) if is_over => {
                    return Err(GatherError::Unsettled { in_flight, queued, changes });
                }
                Err(error) if is_over => return Err(error),
                Ok(_) | Err(_) => {}
            }
            runtime.sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether these purchases have arrived; leaves those that have not.
    async fn have_settled(
        &self,
        product: &ProductId,
        promised: &mut HashSet<&str>,
    ) -> Result<bool, GatherError> {
        if !promised.is_empty() {
            let rows = self.ledger.all_recorded(product).await?;
            let revoked = self.ledger.revocations(product).await?;
            let settled = rows.iter().map(|row| row.purchase.id).chain(revoked.iter().map(|(id, _)| *id));
            let dead = self.dead(product).await?;
            for id in settled.chain(dead.iter().map(|purchase| purchase.id)) {
                promised.remove(id.to_string().as_str());
            }
        }
        Ok(promised.is_empty())
    }

    async fn terms(&self, product: &ProductId) -> Result<Terms, GatherError> {
        let sales = self.ledger.sales().await?;
        let sale = sales.into_iter().find(|sale| sale.product == *product);
        Ok(sale.ok_or_else(|| GatherError::UnknownProduct(product.clone()))?.terms)
    }

    async fn in_flight(&self, product: &ProductId) -> Result<(u64, u32, usize), GatherError> {
        let Some(admission) = &self.admission else { return Ok((0, self.queued().await?.unwrap_or(0), 0)) };
        let in_flight = admission.sale(product).await?.in_flight;
        // Units and rights are affected by these kinds alone, and an erasure may wait for long.
        let affects = |change: &AdmissionChange| match &change.kind {
            ChangeKind::Cancel { purchase, .. } | ChangeKind::Import(purchase) => {
                purchase.product == *product
            }
            ChangeKind::Rename { .. } => false,
        };
        let changes = self.ledger.changes(0, PAGE).await?.iter().filter(|change| affects(change)).count();
        Ok((in_flight, self.queued().await?.unwrap_or(0), changes))
    }

    async fn queued(&self) -> Result<Option<u32>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(None) };
        let mut queue = broker.consumer().await?;
        let state = queue.state().await;
        queue.close().await;
        Ok(Some(state?.ready))
    }

    /// Reads all stores in the order in which purchases move (winners, outbox, queues,
    /// rows), so that a purchase that moves during the read is seen at least once.
    /// `confirmed_at` stays empty.
    pub async fn gather(&self, product: &ProductId) -> Result<Evidence, GatherError> {
        let admission = match &self.admission {
            Some(admission) => Some(read_admission(&**admission, product).await?),
            None => None,
        };
        let queued = self.queued().await?;
        let dead = self.dead(product).await?;
        let terms = self.terms(product).await?;
        let (mut rows, mut cancelled) = (Vec::new(), Vec::new());
        for RecordedPurchase { purchase, cancelled: how, .. } in self.ledger.all_recorded(product).await? {
            match how {
                None => rows.push(purchase),
                Some((_, Cancellation { keeps_unit, may_buy_again, .. })) => {
                    cancelled.push(CancelledRow { purchase, keeps_unit, may_buy_again });
                }
            }
        }
        let earlier = self.earlier_buyers(product).await?;
        let revocations = self.ledger.revocations(product).await?;
        let revocations =
            revocations.into_iter().map(|(id, user)| (id.to_string(), user.to_string())).collect();
        let (confirmed_at, before) = (HashMap::new(), HashSet::new());
        Ok(Evidence {
            terms,
            rows,
            cancelled,
            earlier,
            confirmed_at,
            before,
            revocations,
            admission,
            queued,
            dead,
        })
    }

    async fn earlier_buyers(&self, product: &ProductId) -> Result<Vec<Purchase>, LedgerError> {
        let mut all: Vec<Purchase> = Vec::new();
        loop {
            let after = all.last().map(|last| &last.user);
            let page = self.ledger.earlier_buyers(product, after, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// When each row's transaction began.
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

    pub async fn counts(&self, product: &ProductId) -> Result<Counts, GatherError> {
        let sale = match &self.admission {
            Some(admission) => Some(admission.sale(product).await?),
            None => None,
        };
        Ok(Counts {
            remaining: sale.as_ref().map(|sale| sale.remaining),
            in_flight: sale.as_ref().map(|sale| sale.in_flight),
            rows: self.ledger.counts(product).await?.recorded,
        })
    }

    async fn dead(&self, product: &ProductId) -> Result<Vec<Purchase>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(Vec::new()) };
        let Some(mut held) = broker.dead_letters().await? else { return Ok(Vec::new()) };
        let read = read_dead(&mut *held, product).await;
        held.close().await;
        read
    }
}

/// The conservation law of a sale that goes on, which no purchase on its way breaks. `None`: the
/// sale was rebuilt meanwhile.
pub async fn running_conservation(
    admission: &dyn Admission,
    ledger: &dyn Ledger,
    product: &ProductId,
) -> Result<Option<Conservation>, GatherError> {
    let before = admission.sale(product).await?;
    let counts = ledger.counts(product).await?;
    let after = admission.sale(product).await?;
    Ok((before.epoch == after.epoch).then(|| Conservation::between(&before, counts, &after)))
}

/// The purchases of a product in the dead letters, each once, ordered by id.
async fn read_dead(held: &mut dyn DeadLetters, product: &ProductId) -> Result<Vec<Purchase>, BrokerError> {
    let mut dead = BTreeMap::new();
    while let Some(letter) = held.next().await? {
        let purchases = letter.entries.into_iter().map(|entry| entry.purchase);
        let of_product = purchases.filter(|purchase| purchase.product == *product);
        dead.extend(of_product.map(|purchase| (purchase.id, purchase)));
    }
    Ok(dead.into_values().collect())
}

async fn read_admission(
    admission: &dyn Admission,
    product: &ProductId,
) -> Result<AdmissionState, AdmissionError> {
    let before = admission.sale(product).await?;
    let contents = admission.contents(product).await?;
    let mut outbox = Vec::new();
    loop {
        let after = outbox.last().map_or(EntryId::FIRST, |entry: &Entry| entry.id);
        let page = admission.outbox(product, after, EntryId::LAST, PAGE as usize).await?;
        if page.is_empty() {
            break;
        }
        outbox.extend(page);
    }
    let sale = admission.sale(product).await?;
    let at_rest = (before.next, before.remaining) == (sale.next, sale.remaining);
    let Contents { winners, used, free } = contents;
    Ok(AdmissionState { sale, winners, used, free, at_rest, outbox })
}

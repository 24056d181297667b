//! The stores of a system, and what single reads of them give.

use std::{collections::BTreeMap, sync::Arc};

use crate::admission::{Admission, AdmissionError};
use crate::broker::{Broker, BrokerError, DeadLetters};
use crate::domain::{ProductId, Purchase};
use crate::ledger::{Ledger, LedgerError, LedgerSale};
use crate::stores::Stores;

/// Rows and outbox entries per read.
pub(super) const PAGE: u32 = 5_000;

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

    pub(super) async fn sale(&self, product: &ProductId) -> Result<LedgerSale, GatherError> {
        let sales = self.ledger.sales().await?;
        let sale = sales.into_iter().find(|sale| sale.product == *product);
        sale.ok_or_else(|| GatherError::UnknownProduct(product.clone()))
    }

    pub(super) async fn queued(&self) -> Result<Option<u32>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(None) };
        let mut queue = broker.consumer().await?;
        let state = queue.state().await;
        queue.close().await;
        Ok(Some(state?.ready))
    }

    pub(super) async fn dead(&self, product: &ProductId) -> Result<Vec<Purchase>, BrokerError> {
        let Some(broker) = &self.broker else { return Ok(Vec::new()) };
        let Some(mut held) = broker.dead_letters().await? else { return Ok(Vec::new()) };
        let read = read_dead(&mut *held, product).await;
        held.close().await;
        read
    }
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

//! One batch: from messages to committed rows.

use std::collections::HashMap;

use super::{Stores, conflict};
use crate::admission::{EntryKey, GateError};
use crate::broker::{BrokerError, DeadReason, DeadReasonClass, Delivery, Item, Message};
use crate::domain::{ProductId, Purchase};
use crate::ledger::{Ledger, LedgerError, Verdict, Writer};

/// Why a step did not finish. Repeating it is safe, and goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The ledger did not take the batch.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A conflict could not be settled because Redis is away.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A dead letter could not be put away.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Messages that are recorded together.
#[derive(Debug, Default)]
pub struct Batch {
    deliveries: Vec<Delivery>,
    items: Vec<BatchItem>,
    /// What can never succeed, not yet in the dead-letter queue.
    dead: Vec<(Vec<u8>, DeadReason)>,
}

/// A purchase to be recorded, with the epoch that admitted it.
#[derive(Clone, Debug)]
pub(super) struct BatchItem {
    pub(super) epoch: u64,
    pub(super) item: Item,
}

impl Batch {
    /// Adds a message.
    pub fn add(&mut self, delivery: Delivery) {
        match Message::decode(&delivery.body) {
            Ok(decoded) => {
                let epoch = decoded.message.epoch;
                self.items.extend(decoded.message.items.into_iter().map(|item| BatchItem { epoch, item }));
                self.dead.extend(decoded.bad);
            }
            Err(reason) => self.dead.push((delivery.body.clone(), reason)),
        }
        self.deliveries.push(delivery);
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// How many purchases it holds.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Records everything: dead letters away, one transaction, conflicts settled, outbox entries deleted. After
    /// an error it can be done again.
    pub async fn step(&mut self, stores: &Stores, writer: Writer) -> Result<(), StepError> {
        while let Some((body, reason)) = self.dead.last() {
            put_away(stores, body.clone(), reason).await?;
            self.dead.pop();
        }
        let purchases: Vec<_> = self.items.iter().map(|item| item.item.purchase.clone()).collect();
        if purchases.is_empty() {
            return Ok(());
        }
        let verdicts = persist(&stores.ledger, purchases, writer).await?;
        let mut settled: HashMap<(ProductId, u64), Vec<EntryKey>> = HashMap::new();
        for (item, verdict) in self.items.iter().zip(verdicts) {
            if settle(stores, item, verdict, writer).await? {
                let purchase = &item.item.purchase;
                let millis = u64::try_from(purchase.admitted_at.timestamp_millis()).unwrap_or(0);
                let key = EntryKey { millis, sequence: item.item.sequence, purchase: purchase.id };
                settled.entry((purchase.product.clone(), item.epoch)).or_default().push(key);
            }
        }
        for ((product, epoch), entries) in settled {
            // Redis is away, or was rebuilt: the rows stand. An entry that stays is swept, found recorded, and
            // deleted then.
            if let Err(error) = stores.gate.settle(&product, epoch, &entries).await {
                tracing::debug!(%error, %product, "outbox entries stay for the sweeper");
            }
        }
        Ok(())
    }

    /// Acks every message. False: the broker is away, and will deliver them again.
    pub async fn acknowledge(self) -> bool {
        for delivery in self.deliveries {
            if delivery.acknowledge.ack().await.is_err() {
                return false;
            }
        }
        true
    }
}

/// A verdict on each purchase; `Err(reason)`: the database refuses its values.
type Judged = Result<Verdict, String>;

/// Records purchases. Where the database refuses the values of one, the rest is recorded without it.
async fn persist(
    ledger: &Ledger,
    purchases: Vec<Purchase>,
    writer: Writer,
) -> Result<Vec<Judged>, LedgerError> {
    match ledger.persist(purchases.clone(), writer).await {
        Ok(verdicts) => Ok(verdicts.into_iter().map(Ok).collect()),
        Err(LedgerError::Refused(why)) if purchases.len() == 1 => Ok(vec![Err(why)]),
        Err(LedgerError::Refused(_)) => {
            let (left, right) = purchases.split_at(purchases.len() / 2);
            let mut judged = Box::pin(persist(ledger, left.to_vec(), writer)).await?;
            judged.extend(Box::pin(persist(ledger, right.to_vec(), writer)).await?);
            Ok(judged)
        }
        Err(error) => Err(error),
    }
}

/// Does what a verdict asks for. True: the purchase's outbox entry is to be deleted.
async fn settle(
    stores: &Stores,
    item: &BatchItem,
    judged: Judged,
    writer: Writer,
) -> Result<bool, StepError> {
    let dead = |class, detail| DeadReason { class, detail };
    let purchase = &item.item.purchase;
    let reason = match judged {
        Ok(Verdict::Recorded | Verdict::Revoked) => return Ok(true),
        Ok(Verdict::UserHasOther(stands)) => {
            conflict::supersede(stores, item, &stands).await?;
            return Ok(false);
        }
        Ok(Verdict::UnitTaken) => {
            conflict::unit_taken(stores, item, writer).await?;
            return Ok(false);
        }
        Ok(Verdict::UnknownProduct) => {
            dead(DeadReasonClass::UnknownProduct, format!("there is no product {}", purchase.product))
        }
        Ok(Verdict::UnitOutOfRange { total_stock }) => {
            let detail = format!("unit {} is above the total stock of {total_stock}", purchase.unit);
            dead(DeadReasonClass::UnitOutOfRange, detail)
        }
        Ok(Verdict::IdTaken) => dead(DeadReasonClass::Refused, "another purchase has the same id".to_owned()),
        Err(why) => dead(DeadReasonClass::Refused, why),
    };
    let product = purchase.product.clone();
    let alone = Message { epoch: item.epoch, product, items: vec![item.item.clone()] };
    put_away(stores, alone.encode(), &reason).await?;
    Ok(true)
}

async fn put_away(stores: &Stores, body: Vec<u8>, reason: &DeadReason) -> Result<(), BrokerError> {
    stores.broker.dead_letter(body, reason).await?;
    let DeadReason { class, detail } = reason;
    tracing::warn!(reason = class.as_str(), "dead-lettered: {detail}");
    Ok(())
}

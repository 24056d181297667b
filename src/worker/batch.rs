//! One batch: from messages to committed rows.

use std::collections::HashMap;

use super::{
    Mode, Stores,
    conflict::{self, Settled},
};
use crate::admission::{EntryKey, GateError};
use crate::broker::{BrokerError, DeadReason, DeadReasonClass, Delivery, DeliveryHistory, Item, Message};
use crate::domain::{OutboxEntry, ProductId, PurchaseId};
use crate::ledger::{Admitted, Ledger, LedgerError, Verdict, Writer};
use crate::observability::EventKind;
use crate::runtime::crash_points::crash_point;
use crate::runtime::mutants::mutant;

/// Why a step did not finish. Repeating it is safe, and goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The ledger did not take the batch.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A conflict could not be settled because Redis is away, or a rebuild is under way.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A dead letter could not be put away.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Each unit that a purchase was given went to someone else in the meantime.
    #[error("purchase {0} keeps losing its unit")]
    KeepsLosing(PurchaseId),
}

/// Messages that are recorded together.
#[derive(Debug, Default)]
pub struct Batch {
    deliveries: Vec<Delivery>,
    items: Vec<BatchItem>,
    /// What can never succeed, not yet in the dead-letter queue.
    dead: Vec<(Vec<u8>, DeadReason, DeliveryHistory)>,
}

/// A purchase to be recorded, with the epoch that admitted it.
#[derive(Clone, Debug)]
struct BatchItem {
    epoch: u64,
    item: Item,
    history: DeliveryHistory,
}

impl Batch {
    /// Adds a message.
    pub fn add(&mut self, delivery: Delivery) {
        let history = delivery.history;
        match Message::decode(&delivery.body) {
            Ok(decoded) => {
                let epoch = decoded.message.epoch;
                let items = decoded.message.items.into_iter();
                self.items.extend(items.map(|item| BatchItem { epoch, item, history }));
                self.dead.extend(decoded.bad.into_iter().map(|(body, reason)| (body, reason, history)));
            }
            Err(reason) => self.dead.push((delivery.body.clone(), reason, history)),
        }
        self.deliveries.push(delivery);
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// How many messages it holds.
    pub fn messages(&self) -> usize {
        self.deliveries.len()
    }

    /// How many purchases it holds.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Records everything in one transaction, settles conflicts, deletes outbox entries, and puts dead letters
    /// away. After an error it can be done again.
    pub async fn step(&mut self, stores: &Stores, mode: &Mode) -> Result<(), StepError> {
        crash_point!("worker-after-delivery");
        if mutant!("delete-before-commit") {
            let mut all = Entries::default();
            for item in &self.items {
                all.add(&item.item.purchase.product, item.epoch, key_of(&item.item));
            }
            all.delete(stores, false).await;
        }
        let mut recorded = Entries::default();
        let mut dead = Vec::new();
        let judgements = self.persist(stores, mode).await?;
        let now = stores.telemetry.clock().now();
        for (item, judged) in self.items.iter().zip(judgements) {
            if judged == Ok(Verdict::Recorded) {
                let purchase = &item.item.purchase;
                stores.telemetry.meter.recorded(&purchase.product, now - purchase.admitted_at);
            }
            let settled = match judged {
                Ok(Verdict::Recorded | Verdict::RecordedBefore) => {
                    recorded.add(&item.item.purchase.product, item.epoch, key_of(&item.item));
                    continue;
                }
                Ok(verdict) => conflict::settle(stores, item.item.entry(item.epoch), verdict, mode).await?,
                Err(detail) => Settled::Dead(DeadReason { class: DeadReasonClass::Refused, detail }),
            };
            match settled {
                Settled::Recorded(OutboxEntry { id, epoch, purchase }) => {
                    let sequence = Some(id.sequence);
                    let key = EntryKey { millis: id.millis, sequence, purchase: purchase.id };
                    recorded.add(&purchase.product, epoch, key);
                }
                Settled::Withdrawn | Settled::Deferred => {}
                Settled::Dead(reason) => dead.push((item, reason)),
            }
        }
        crash_point!("worker-after-commit");
        recorded.delete(stores, false).await;
        crash_point!("worker-after-delete");
        let mut buried = Entries::default();
        for (item, reason) in dead {
            let product = item.item.purchase.product.clone();
            let alone = Message { epoch: item.epoch, product, items: vec![item.item.clone()] };
            put_away(stores, alone.encode(), &reason, item.history).await?;
            buried.add(&item.item.purchase.product, item.epoch, key_of(&item.item));
        }
        buried.delete(stores, true).await;
        while let Some((body, reason, history)) = self.dead.last() {
            put_away(stores, body.clone(), reason, *history).await?;
            self.dead.pop();
        }
        Ok(())
    }

    /// A verdict on each purchase; `Err(reason)`: the database refuses its values.
    async fn persist(&self, stores: &Stores, mode: &Mode) -> Result<Vec<Judged>, LedgerError> {
        let admitted = |BatchItem { epoch, item, .. }: &BatchItem| Admitted {
            epoch: mode.epoch_of(&item.purchase.product, *epoch),
            purchase: item.purchase.clone(),
        };
        let purchases: Vec<_> = self.items.iter().map(admitted).collect();
        if purchases.is_empty() {
            Ok(Vec::new())
        } else {
            persist(&stores.ledger, purchases, mode.writer()).await
        }
    }

    /// Acks every message. False: the broker is away, and will deliver them again.
    pub async fn acknowledge(&mut self) -> bool {
        crash_point!("worker-before-ack");
        for delivery in self.deliveries.drain(..) {
            if delivery.acknowledge.ack().await.is_err() {
                return false;
            }
        }
        true
    }
}

type Judged = Result<Verdict, String>;

/// Outbox entries to be deleted.
#[derive(Default)]
struct Entries(HashMap<(ProductId, u64), Vec<EntryKey>>);

impl Entries {
    fn add(&mut self, product: &ProductId, epoch: u64, key: EntryKey) {
        self.0.entry((product.clone(), epoch)).or_default().push(key);
    }

    async fn delete(self, stores: &Stores, dead: bool) {
        for ((product, epoch), entries) in self.0 {
            // Redis is away, or was rebuilt: the rows stand. An entry that stays is swept, found recorded, and
            // deleted then.
            let deleted = if dead {
                stores.gate.bury(&product, epoch, &entries).await
            } else {
                stores.gate.settle(&product, epoch, &entries).await
            };
            if let Err(error) = deleted {
                tracing::debug!(%error, %product, "outbox entries stay for the sweeper");
            }
        }
    }
}

fn key_of(item: &Item) -> EntryKey {
    let millis = u64::try_from(item.purchase.admitted_at.timestamp_millis()).unwrap_or(0);
    EntryKey { millis, sequence: item.sequence, purchase: item.purchase.id }
}

/// Records purchases. Where the database refuses the values of one, the rest is recorded without it.
async fn persist(
    ledger: &Ledger,
    purchases: Vec<Admitted>,
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

async fn put_away(
    stores: &Stores,
    body: Vec<u8>,
    reason: &DeadReason,
    history: DeliveryHistory,
) -> Result<(), BrokerError> {
    stores.broker.dead_letter(body, reason, history).await?;
    let DeadReason { class, detail } = reason;
    tracing::warn!(reason = class.as_str(), "dead-lettered: {detail:.500}");
    stores.telemetry.events.note(EventKind::DeadLetter, class.as_str(), format!("{detail:.200}"));
    Ok(())
}

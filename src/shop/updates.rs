//! Live updates of sales: one task a product polls admission while it has listeners, however many
//! they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;

use crate::{checkout::Checkout, domain::ProductId, http::pages::phase_key};

const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A sale as pages show it. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update {
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sold: Option<u32>,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
}

impl Update {
    /// Two updates with the same id show the same, so that a client which has one does
    /// not need the other.
    pub(super) fn id(&self) -> String {
        let Self { phase, stock, total, opens_at, closes_at, .. } = self;
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        format!(
            "{phase}.{}.{}.{}.{}",
            number(stock.map(i64::from)),
            number(total.map(i64::from)),
            number(*opens_at),
            number(*closes_at)
        )
    }
}

/// An update, encoded once for all listeners.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) update: Update,
    pub(super) json: Bytes,
    /// The same as a server-sent event.
    pub(super) event: Bytes,
}

impl Encoded {
    /// Reads the sale (a cached read of the checkout).
    pub(super) async fn read(checkout: &Checkout, product: &ProductId) -> Self {
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        let Ok(sale) = checkout.reader.sale(product).await else {
            let phase = phase_key(None);
            let update =
                Update { phase, stock: None, total: None, sold: None, opens_at: None, closes_at: None };
            return Self::new(update, checkout.reader.now());
        };
        let total = sale.terms.total_stock;
        let update = Update {
            phase: phase_key(Some(sale.phase())),
            stock: Some(sale.remaining),
            total: Some(total),
            sold: Some(total.saturating_sub(sale.remaining)),
            opens_at: millis(sale.terms.opens_at),
            closes_at: millis(sale.terms.closes_at),
        };
        Self::new(update, sale.now)
    }

    /// `now`: by the clock that opens and closes the sale.
    fn new(update: Update, now: DateTime<Utc>) -> Self {
        #[derive(Serialize)]
        struct Data<'update> {
            #[serde(flatten)]
            update: &'update Update,
            now: i64,
        }
        let data = Data { update: &update, now: now.timestamp_millis() };
        let data = serde_json::to_string(&data).unwrap_or_default(); // text and numbers serialise
        let event = Bytes::from(format!("id: {}\nevent: sale\ndata: {data}\n\n", update.id()));
        Self { update, json: data.into(), event }
    }
}

/// `None` until the first poll.
pub(super) type Latest = Option<Encoded>;

/// The products that are polled; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    polled: Arc<Mutex<HashMap<ProductId, watch::Receiver<Latest>>>>,
}

impl Updates {
    /// Subscribes to a product, and starts to poll it if it has no other listener.
    pub(super) fn subscribe(&self, checkout: &Checkout, product: &ProductId) -> watch::Receiver<Latest> {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        // A task that has ended has dropped its sender.
        if let Some(receiver) = polled.get(product).filter(|receiver| receiver.has_changed().is_ok()) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        polled.insert(product.clone(), receiver.clone());
        tokio::spawn(poll(checkout.clone(), product.clone(), sender, self.clone()));
        receiver
    }

    /// Whether the product has no listener any more; it is removed then. The map
    /// itself holds one receiver.
    fn remove_if_unused(&self, product: &ProductId, sender: &watch::Sender<Latest>) -> bool {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = sender.receiver_count() <= 1;
        if unused {
            polled.remove(product);
        }
        unused
    }
}

async fn poll(checkout: Checkout, product: ProductId, sender: watch::Sender<Latest>, updates: Updates) {
    let mut interval = tokio::time::interval(POLL_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let encoded = Encoded::read(&checkout, &product).await;
        sender.send_if_modified(|latest| {
            let changed = latest.as_ref().is_none_or(|latest| latest.update != encoded.update);
            *latest = Some(encoded);
            changed
        });
        if updates.remove_if_unused(&product, &sender) {
            return;
        }
    }
}

//! Live updates by server-sent events. However many listen, a product is looked at by one task of this process, four
//! times a second, and only changes are sent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, Data},
};
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Web, pages, words};
use crate::checkout::Checkout;
use crate::domain::ProductId;

const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// A sign of life, so that neither proxies nor browsers give a quiet connection up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A sale as it is shown. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    /// `NOT_READY` while there is nothing to show.
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
    async fn look(checkout: &Checkout, product: &ProductId) -> Seen {
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        match checkout.reader.sale(product).await {
            Ok(sale) => {
                let total = sale.terms.total_stock;
                let update = Self {
                    phase: pages::phase_name(sale.phase()),
                    stock: Some(sale.remaining),
                    total: Some(total),
                    sold: Some(total.saturating_sub(sale.remaining)),
                    opens_at: millis(sale.terms.opens_at),
                    closes_at: millis(sale.terms.closes_at),
                };
                Seen::new(update, sale.now)
            }
            Err(_) => Seen::new(Self::not_ready(), checkout.reader.now()),
        }
    }

    fn not_ready() -> Self {
        Self {
            phase: words::NOT_READY,
            stock: None,
            total: None,
            sold: None,
            opens_at: None,
            closes_at: None,
        }
    }

    /// The same for everything that is shown: whoever has seen it has missed nothing.
    fn id(&self) -> String {
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

/// What was seen, and the event that tells of it: written once, however many it is sent to.
#[derive(Clone, Debug)]
struct Seen {
    update: Update,
    event: Bytes,
}

impl Seen {
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
        Self { update, event }
    }
}

/// The looks that go on, one for each product that somebody listens to; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Live {
    looks: Arc<Mutex<HashMap<ProductId, watch::Receiver<Latest>>>>,
}

/// What was seen last; `None`: nobody has looked yet.
type Latest = Option<Seen>;

impl Live {
    /// Listens to a product, and begins to look at it if nobody does yet.
    fn listen(&self, checkout: &Checkout, product: &ProductId) -> watch::Receiver<Latest> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        // A look that has ended has dropped its sender.
        if let Some(receiver) = looks.get(product).filter(|receiver| receiver.has_changed().is_ok()) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        looks.insert(product.clone(), receiver.clone());
        tokio::spawn(look(checkout.clone(), product.clone(), sender, self.clone()));
        receiver
    }

    /// Whether nobody but the list of looks listens any more; it is forgotten then.
    fn forget_if_unheard(&self, product: &ProductId, sender: &watch::Sender<Latest>) -> bool {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let unheard = sender.receiver_count() <= 1;
        if unheard {
            looks.remove(product);
        }
        unheard
    }
}

async fn look(checkout: Checkout, product: ProductId, sender: watch::Sender<Latest>, live: Live) {
    let mut turns = tokio::time::interval(LOOK_INTERVAL);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let seen = Update::look(&checkout, &product).await;
        sender.send_if_modified(|latest| {
            let changed = latest.as_ref().is_none_or(|latest| latest.update != seen.update);
            *latest = Some(seen);
            changed
        });
        if live.forget_if_unheard(&product, &sender) {
            return;
        }
    }
}

/// `GET /products/{product}/events` and `/sale/events`
pub(crate) async fn events(web: Data<Web>, request: HttpRequest) -> HttpResponse {
    let product = match request.match_info().get("product") {
        Some(id) => web.catalogue.get(id),
        None => web.catalogue.first(),
    };
    let Some(product) = product else { return pages::not_found().await };
    let updates = web.live.listen(&web.checkout, &product.id);
    let seen = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    // The first answer is looked up here, so that it is not older than the page.
    let first = Update::look(&web.checkout, &product.id).await;
    let hello = if seen.as_deref() == Some(&*first.update.id()) {
        Bytes::from_static(b"retry: 2000\n\n")
    } else {
        [b"retry: 2000\n".as_slice(), &first.event].concat().into()
    };
    let rest = changes(updates, first.update, web.clone());
    let all = futures_util::StreamExt::chain(stream::iter([Ok::<_, actix_web::Error>(hello)]), rest);
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(all)
}

/// Changes as they happen, and signs of life; until the server stops.
fn changes(
    updates: watch::Receiver<Latest>,
    shown: Update,
    web: Data<Web>,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold((updates, shown, web), |(mut updates, mut shown, web)| async move {
        let stop: CancellationToken = web.stop.clone();
        let change = async {
            loop {
                let latest = updates.borrow_and_update().clone();
                if let Some(seen) = latest.filter(|seen| seen.update != shown) {
                    break Some(seen);
                }
                if updates.changed().await.is_err() {
                    break None;
                }
            }
        };
        let changed = tokio::select! {
            () = stop.cancelled() => return None,
            changed = timeout(HEARTBEAT, change) => changed,
        };
        let bytes = match changed {
            Ok(Some(seen)) => {
                let bytes = seen.event;
                shown = seen.update;
                bytes
            }
            Ok(None) => return None,
            Err(_elapsed) => Bytes::from_static(b": still here\n\n"),
        };
        Some((Ok(bytes), (updates, shown, web)))
    })
}

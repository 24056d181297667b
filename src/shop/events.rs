//! `GET /products/{product}/events`: live updates as server-sent events.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data},
};
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    state::Shop,
    updates::{Encoded, Latest, Update},
};
use crate::http::{extract::ProductParam, problem::Problem};

/// An event without news is sent after this time without a change: proxies and browsers keep the
/// connection open, and a script knows a connection that has fallen silent (`assets/feed.js`).
const HEARTBEAT: Duration = Duration::from_secs(5);
const HEARTBEAT_EVENT: &[u8] = b"event: heartbeat\ndata: \n\n";
const RECONNECT_AFTER: &[u8] = b"retry: 2000\n";

pub(super) async fn events(
    product: ProductParam,
    shop: Data<Shop>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let permit = shop.listeners.clone().try_acquire_owned().map_err(|_full| Problem::TooManyListeners)?;
    let updates = shop.updates.subscribe(&shop.checkout, &product.id);
    let last_event_id = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    // Read here instead of taken from the poll, so that it is not older than the page.
    let first = Encoded::read(&shop.checkout, &product.id).await;
    let event: &[u8] = if last_event_id == Some(&*first.update.id()) { b"\n" } else { &first.event };
    let start = Bytes::from([RECONNECT_AFTER, event].concat());
    let rest = changes(updates, first.update, shop.stop.clone(), permit);
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream::iter([Ok(start)]).chain(rest));
    Ok(answer)
}

/// Changes after the update `sent`, and heartbeats, until `stop`. Holds the permit as
/// long as it lasts.
fn changes(
    updates: watch::Receiver<Latest>,
    sent: Update,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold((updates, sent, stop, permit), |(mut updates, mut sent, stop, permit)| async move {
        let change = async {
            loop {
                let latest = updates.borrow_and_update().clone();
                if let Some(encoded) = latest.filter(|encoded| encoded.update != sent) {
                    break Some(encoded);
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
            Ok(Some(Encoded { update, event, .. })) => {
                sent = update;
                event
            }
            Ok(None) => return None,
            Err(_elapsed) => Bytes::from_static(HEARTBEAT_EVENT),
        };
        Some((Ok(bytes), (updates, sent, stop, permit)))
    })
}

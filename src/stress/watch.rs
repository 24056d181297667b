//! Looks at stock and rows while a run goes on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, target::Target};

const STOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Counting rows costs the database something.
const ROWS_INTERVAL: Duration = Duration::from_secs(1);

/// Notes stock and rows until `stop`. A look that fails is left out: the load itself shows an outage.
pub(super) async fn watch(target: Target, recorder: Recorder, stop: CancellationToken) {
    let stock = async {
        let mut turns = tokio::time::interval(STOCK_INTERVAL);
        loop {
            turns.tick().await;
            if let Ok(stock) = target.stock().await {
                recorder.note_stock(stock);
            }
        }
    };
    let rows = async {
        let mut turns = tokio::time::interval(ROWS_INTERVAL);
        loop {
            turns.tick().await;
            if let Ok(Some(counts)) = target.counts().await {
                recorder.note_rows(counts.rows);
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = stock => {}
        () = rows => {}
    }
}

//! Polls stock and row count while a run goes on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, target::Target};

const STOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Counting rows costs the database something.
const ROWS_INTERVAL: Duration = Duration::from_secs(1);

/// Records stock and rows until `stop`. A failed poll is ignored: the load itself shows an outage.
pub(super) async fn poll(target: Target, recorder: Recorder, stop: CancellationToken) {
    let stock = async {
        let mut interval = tokio::time::interval(STOCK_INTERVAL);
        loop {
            interval.tick().await;
            if let Ok(stock) = target.stock().await {
                recorder.record_stock(stock);
            }
        }
    };
    let rows = async {
        let mut interval = tokio::time::interval(ROWS_INTERVAL);
        loop {
            interval.tick().await;
            if let Some(console) = &target.console
                && let Ok(counts) = console.counts().await
            {
                recorder.record_rows(counts.rows);
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = stock => {}
        () = rows => {}
    }
}

//! `[outbox]` and `[recovery]`

use std::time::Duration;

use crate::config::Reader;

/// For an answer that is under way when its time has passed.
const SETTLE_MARGIN: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// The age from which an outbox entry is published again.
    pub sweep_after: Duration,
    /// Longest time from an admission to the answer that its publish was confirmed. A rebuild waits
    /// this long, so that no such answer is given after the queue was drained.
    pub settle_time: Duration,
    /// Between two comparisons of admission with the ledger.
    pub reconcile_interval: Duration,
}

impl RecoveryOptions {
    /// `confirm_counts_for`: longest time from the beginning of an attempt to
    /// a confirm that counts.
    pub fn read(reader: &mut Reader, confirm_counts_for: Duration) -> Self {
        Self {
            sweep_after: reader.millis("outbox.sweep_after_ms", 100..=3_600_000),
            settle_time: confirm_counts_for + SETTLE_MARGIN,
            reconcile_interval: reader.seconds("recovery.reconcile_interval_s", 1..=86_400),
        }
    }
}

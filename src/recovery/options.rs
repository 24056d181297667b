//! `[outbox]` and `[recovery]`

use std::time::Duration;

use crate::config::Reader;

#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// The age from which an outbox entry is published again.
    pub sweep_after: Duration,
    /// Between two comparisons of admission with the ledger.
    pub reconcile_interval: Duration,
}

impl RecoveryOptions {
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            sweep_after: reader.millis("outbox.sweep_after_ms", 100..=3_600_000),
            reconcile_interval: reader.seconds("recovery.reconcile_interval_s", 1..=86_400),
        }
    }
}

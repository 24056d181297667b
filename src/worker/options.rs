//! `[worker]`

use std::time::Duration;

use crate::config::Reader;

#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Workers of this process, each with a consumer of its own.
    pub lanes: usize,
    /// Purchases after which a batch is full. A message is never split, so a batch may
    /// hold one message more.
    pub batch_items_max: usize,
    /// How long every batch waits for more.
    pub linger: Duration,
}

impl WorkerOptions {
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            lanes: reader.integer("worker.lanes", 1..=64),
            batch_items_max: reader.integer("worker.batch_items_max", 1..=10_000),
            linger: reader.millis("worker.linger_ms", 0..=10_000),
        }
    }
}

//! A worker takes messages in batches, records them in the ledger in one transaction each, settles what could
//! not be recorded, deletes the outbox entries, and acks last.
//!
//! [`Batch`] is the single step, which tests drive; [`Worker::run`] repeats it and waits out outages.

mod batch;
mod conflict;

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::admission::Gate;
use crate::broker::{Broker, Consumer, Delivery};
use crate::domain::ProductId;
use crate::ledger::{Ledger, LedgerError, Writer};
use crate::observability::Dependency;
use crate::observability::Telemetry;
use crate::runtime::Backoff;
use crate::runtime::mutants::mutant;
pub use batch::{Batch, StepError};

/// How long a worker keeps its messages while the ledger is away. Then it leaves the queue, so that a rebuild, which
/// waits for that, can take place without this worker.
const LEDGER_AWAY_MAX: Duration = Duration::from_secs(10);
/// How often a worker asks whether it should stand aside for a rebuild.
const ASIDE_INTERVAL: Duration = Duration::from_millis(250);

/// Where a worker reads and writes.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Where admitted purchases come from, and where outbox entries are deleted.
    pub gate: Gate,
    /// Where messages come from.
    pub broker: Broker,
    /// Where purchases are recorded.
    pub ledger: Ledger,
    /// Where it is told what was done.
    pub telemetry: Telemetry,
}

/// In whose name a batch is recorded.
#[derive(Clone, Debug)]
pub enum Mode {
    /// A worker's, while everything is selling.
    Working,
    /// A rebuild's, which has made the workers stand aside, and stopped the admission of these products.
    Rebuilding(HashMap<ProductId, RebuildEpochs>),
}

/// The epochs of a product that is being rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildEpochs {
    /// The latest one that was open: what it admitted can be recorded as it is, because nothing was handed out anew
    /// since.
    pub opened: u64,
    /// The rebuild's own. What is recorded in its name is refused once another rebuild has begun.
    pub rebuild: u64,
}

impl Mode {
    fn is_stopped(&self, product: &ProductId) -> bool {
        matches!(self, Self::Rebuilding(stopped) if stopped.contains_key(product))
    }

    /// The epoch to compare with the ledger's.
    fn epoch_of(&self, product: &ProductId, epoch: u64) -> u64 {
        match self {
            Self::Rebuilding(stopped) => match stopped.get(product) {
                Some(RebuildEpochs { opened, rebuild }) if epoch >= *opened => *rebuild,
                _ => epoch,
            },
            Self::Working => epoch,
        }
    }

    fn writer(&self) -> Writer {
        match self {
            Self::Working => Writer::Worker,
            Self::Rebuilding(_) => Writer::Rebuild,
        }
    }
}

/// How a worker batches.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Purchases after which a batch is full. A message is never split, so a batch may hold a message more.
    pub batch_items_max: usize,
    /// How long a batch waits to fill.
    pub linger: Duration,
}

/// Takes messages and records them.
#[derive(Debug)]
pub struct Worker {
    stores: Stores,
    options: WorkerOptions,
    /// The ledger's state as this worker sees it.
    ledger_state: Dependency,
}

impl Worker {
    /// A worker on these stores.
    pub fn new(stores: Stores, options: WorkerOptions, ledger_state: Dependency) -> Self {
        Self { stores, options, ledger_state }
    }

    /// Works until `stop`, then finishes the batch under way and gives the rest back.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            if !self.may_run().await {
                pause(&mut backoff, &stop).await;
                continue;
            }
            match self.stores.broker.consume().await {
                Ok(consumer) => {
                    self.broker_is(None);
                    if self.consume(consumer, &stop).await {
                        backoff.reset();
                    } else {
                        pause(&mut backoff, &stop).await;
                    }
                }
                Err(error) => {
                    self.broker_is(Some(&error));
                    pause(&mut backoff, &stop).await;
                }
            }
        }
    }

    fn broker_is(&self, error: Option<&dyn std::error::Error>) {
        match (self.stores.broker.consuming(), error) {
            (Some(dependency), Some(error)) => dependency.down(error),
            (Some(dependency), None) => dependency.up(),
            (None, _) => {}
        }
    }

    async fn may_run(&self) -> bool {
        match self.stores.ledger.workers_may_run().await {
            Ok(may_run) => {
                self.ledger_state.up();
                may_run
            }
            Err(error) => {
                self.ledger_state.down(error);
                false
            }
        }
    }

    /// Takes batches until the consumer fails, a rebuild wants the workers aside, or `stop`. Whether it has
    /// recorded anything.
    async fn consume(&self, mut consumer: Consumer, stop: &CancellationToken) -> bool {
        let (mut recorded, mut reached) = (false, Instant::now());
        let mut ask = tokio::time::interval(ASIDE_INTERVAL);
        ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Only the wait for a first message is given up for something else: nothing is held then.
            let first = tokio::select! {
                () = stop.cancelled() => break,
                _ = ask.tick() => {
                    if self.should_leave(&mut reached).await {
                        break;
                    }
                    continue;
                }
                first = consumer.next() => first,
            };
            let Ok(first) = first else {
                self.broker_is(Some(&crate::broker::BrokerError::NotConnected));
                break;
            };
            let batch = self.fill(first, &mut consumer).await;
            if !self.finish(batch, stop).await {
                break;
            }
            recorded = true;
        }
        consumer.close().await;
        recorded
    }

    /// Whether a rebuild wants the queue, or the ledger has been away for too long since it was `reached`.
    async fn should_leave(&self, reached: &mut Instant) -> bool {
        match self.stores.ledger.workers_may_run().await {
            Ok(may_run) => {
                self.ledger_state.up();
                *reached = Instant::now();
                !may_run
            }
            Err(error) => {
                self.ledger_state.down(error);
                reached.elapsed() > LEDGER_AWAY_MAX
            }
        }
    }

    /// The batch that begins with this message, and holds what arrives while it lingers.
    async fn fill(&self, first: Delivery, consumer: &mut Consumer) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        let deadline = Instant::now() + self.options.linger;
        while batch.items() < self.options.batch_items_max {
            match timeout_at(deadline, consumer.next()).await {
                Ok(Ok(delivery)) => batch.add(delivery),
                // The rest is redelivered; what is here is recorded first.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        batch
    }

    /// Repeats the step until it succeeds. False: give everything back.
    async fn finish(&self, mut batch: Batch, stop: &CancellationToken) -> bool {
        let (mut backoff, mut reached) = (Backoff::default(), Instant::now());
        if mutant!("ack-before-commit") {
            batch.acknowledge().await;
        }
        loop {
            match batch.step(&self.stores, &Mode::Working).await {
                Ok(()) => {
                    self.ledger_state.up();
                    return batch.acknowledge().await;
                }
                Err(StepError::Ledger(LedgerError::RebuildUnderWay)) => return false,
                Err(StepError::Ledger(error)) => self.ledger_state.down(error),
                Err(error) => tracing::debug!(%error, "the batch waits"),
            }
            pause(&mut backoff, stop).await;
            // Whatever it waits for, a rebuild that waits for the queue comes first.
            if stop.is_cancelled() || self.should_leave(&mut reached).await {
                return false;
            }
        }
    }
}

async fn pause(backoff: &mut Backoff, stop: &CancellationToken) {
    tokio::select! {
        () = backoff.wait() => {}
        () = stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_records_in_its_own_name_what_the_latest_open_epoch_admitted() {
        let product = |id: &str| ProductId::parse(id).unwrap();
        let stopped = HashMap::from([(product("a"), RebuildEpochs { opened: 3, rebuild: 5 })]);
        let mode = Mode::Rebuilding(stopped);
        assert_eq!(mode.epoch_of(&product("a"), 3), 5);
        assert_eq!(mode.epoch_of(&product("a"), 2), 2, "its units may have been handed out anew");
        assert_eq!(mode.epoch_of(&product("b"), 3), 3, "another product, which sells");
        assert_eq!(Mode::Working.epoch_of(&product("a"), 3), 3);
    }
}

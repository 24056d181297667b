//! A worker takes messages in batches, records each batch in the ledger in one transaction, settles
//! what could not be recorded, deletes the outbox entries, and acks last.
//!
//! [`Batch`] is the single step, which tests drive; [`Worker::run`] repeats it and waits out
//! outages.

mod batch;
mod conflict;
mod error;
mod fill;
mod mode;
mod options;
mod record;
mod recorder;
mod silence;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::broker::{BrokerError, Consumer};
use crate::domain::Durability;
use crate::ledger::LedgerError;
use crate::observability::{Dependency, Telemetry};
use crate::runtime::{Backoff, Runtime, error_chain};
use crate::stores::Stores;
pub use batch::Batch;
pub use conflict::{NO_UNIT_LEFT, has_other};
pub use error::StepError;
use fill::Filling;
pub use mode::{Mode, RebuildEpochs, Rebuilding};
pub use options::WorkerOptions;
pub use recorder::{Dead, Recorder};
use silence::Silence;

/// How long a worker keeps its messages while the ledger can't be reached. Then it leaves the
/// queue, so that a rebuild, which waits for that, can take place without this worker.
const LEDGER_OUTAGE_MAX: Duration = Duration::from_secs(10);
/// How long a worker keeps messages whose conflicts it can't settle, because it reaches no
/// admission that sells. Then it gives them back: where it is on the wrong side of a split brain, a
/// worker of the other side takes them.
const ADMISSION_OUTAGE_MAX: Duration = Duration::from_secs(10);
/// How long a small batch waits for more while messages are waiting.
const LINGER_UNDER_LOAD: Duration = Duration::from_millis(2);
/// How often a worker asks the ledger whether it may run.
const MAY_RUN_INTERVAL: Duration = Duration::from_millis(250);

/// Takes messages and records them.
#[derive(Debug)]
pub struct Worker {
    recorder: Recorder,
    options: WorkerOptions,
    /// The ledger's state as this worker sees it.
    ledger_state: Dependency,
    runtime: Runtime,
}

impl Worker {
    pub fn new(
        stores: Stores,
        telemetry: Telemetry,
        options: WorkerOptions,
        ledger_state: Dependency,
        runtime: &Runtime,
    ) -> Self {
        let recorder = Recorder { stores, telemetry, mode: Mode::Working };
        Self { recorder, options, ledger_state, runtime: runtime.clone() }
    }

    /// Works until `stop`, then finishes the batch under way and gives the rest back.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::of_reconnects(&self.runtime);
        let mut silence = Silence::from(self.runtime.instant());
        while !stop.is_cancelled() {
            if self.may_run().await && self.consume(&stop, &mut silence).await {
                backoff.reset();
            } else {
                pause(&mut backoff, &stop).await;
            }
        }
    }

    fn broker_is(&self, error: Option<&BrokerError>) {
        match (self.recorder.stores.broker.consuming(), error) {
            (Some(dependency), Some(error)) => dependency.down(error.outage(), error_chain(error)),
            (Some(dependency), None) => dependency.up(),
            (None, _) => {}
        }
    }

    async fn may_run(&self) -> bool {
        match self.recorder.stores.ledger.workers_may_run().await {
            Ok(may_run) => {
                self.ledger_state.reached();
                may_run
            }
            Err(error) => {
                self.ledger_state.down(error.outage(), error_chain(&error));
                false
            }
        }
    }

    async fn connect(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        let mut consumer = self.recorder.stores.broker.consumer().await?;
        consumer.start().await?;
        Ok(consumer)
    }

    /// Takes batches until the consumer fails, a rebuild wants the workers aside, or `stop`.
    /// Whether anything was recorded.
    async fn consume(&self, stop: &CancellationToken, silence: &mut Silence) -> bool {
        let mut consumer = match self.connect().await {
            Ok(consumer) => consumer,
            Err(error) => {
                self.broker_is(Some(&error));
                return false;
            }
        };
        self.broker_is(None);
        let (mut recorded, mut reached) = (false, self.runtime.instant());
        let mut ask_at = reached;
        silence.begins(reached);
        loop {
            // Only the wait for a first message is given up for something else: nothing is held
            // then.
            let until_ask = ask_at.saturating_duration_since(self.runtime.instant());
            let (first, was_waiting) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.runtime.sleep(until_ask) => {
                    if self.should_leave(&mut reached).await {
                        break;
                    }
                    if silence.is_long(self.runtime.instant()) {
                        if silence::is_held_back(&self.recorder.stores).await {
                            tracing::debug!("nothing is delivered: connecting to the queue anew");
                            silence.was_in_vain();
                            break;
                        }
                        silence.begins(self.runtime.instant());
                    }
                    ask_at = self.runtime.instant() + MAY_RUN_INTERVAL;
                    continue;
                }
                first = fill::next_of(&mut *consumer) => first,
            };
            let Ok(first) = first.inspect_err(|error| self.broker_is(Some(error))) else { break };
            let batch = self.filling().fill(first, was_waiting, &mut *consumer, &self.runtime).await;
            if !self.finish(batch, stop).await {
                break;
            }
            recorded = true;
            silence.ended(self.runtime.instant());
        }
        consumer.close().await;
        recorded
    }

    /// Whether a rebuild wants the queue, or the ledger can't be reached for too long since it was
    /// `reached`.
    async fn should_leave(&self, reached: &mut Instant) -> bool {
        match self.recorder.stores.ledger.workers_may_run().await {
            Ok(may_run) => {
                self.ledger_state.reached();
                *reached = self.runtime.instant();
                !may_run
            }
            Err(error) => {
                self.ledger_state.down(error.outage(), error_chain(&error));
                self.runtime.instant() - *reached > LEDGER_OUTAGE_MAX
            }
        }
    }

    /// Where a commit is what a buyer waits for, no batch waits by itself.
    fn filling(&self) -> Filling {
        let answers_wait = self.recorder.stores.broker.durability() == Durability::Database;
        Filling {
            items_max: self.options.batch_items_max,
            linger: self.options.linger,
            linger_under_load: if answers_wait { Duration::ZERO } else { LINGER_UNDER_LOAD },
        }
    }

    /// Repeats the step until it succeeds. False: the messages go back to the queue.
    async fn finish(&self, mut batch: Batch, stop: &CancellationToken) -> bool {
        let (mut backoff, mut reached) = (Backoff::of_reconnects(&self.runtime), self.runtime.instant());
        let mut waits_for_admission_since = None;
        let mut writing = self.ledger_state.writing();
        loop {
            match batch.step(&self.recorder).await {
                Ok(()) => {
                    writing.succeeded();
                    return batch.acknowledge().await;
                }
                Err(StepError::Ledger(LedgerError::RebuildUnderWay)) => return false,
                Err(StepError::Ledger(error)) => writing.failed(error.outage(), error_chain(&error)),
                Err(StepError::Admission(error)) => {
                    tracing::debug!(error = error_chain(&error), "the batch waits for admission");
                    let now = self.runtime.instant();
                    if now - *waits_for_admission_since.get_or_insert(now) > ADMISSION_OUTAGE_MAX {
                        return false;
                    }
                }
                Err(error) => tracing::debug!(error = error_chain(&error), "the batch waits"),
            }
            pause(&mut backoff, stop).await;
            // Whatever the batch waits for, a rebuild that waits for the queue comes first.
            if stop.is_cancelled() || self.should_leave(&mut reached).await {
                return false;
            }
        }
    }
}

async fn pause(backoff: &mut Backoff, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = backoff.wait() => {}
    }
}

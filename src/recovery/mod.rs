//! Keeps admission true to the ledger. One process leads, elected by the ledger; it prepares sales,
//! rebuilds admission after a loss, carries changed terms and operators' decisions about purchases
//! over, and sweeps the outbox.

mod bindings;
mod carry_over;
mod drain;
mod drift;
mod error;
mod lead;
mod maintain;
mod obstacle;
mod operator;
mod options;
mod rebuild;
mod reconcile;
mod round;
mod snapshot;
mod sources;
mod stalled_queue;
mod trouble;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use crate::broker::Bindings;
use crate::domain::ProductId;
use crate::observability::Telemetry;
use crate::outbox::Sweeper;
use crate::runtime::Runtime;
use crate::stores::Stores;
pub use drift::Drift;
pub use error::RecoveryError;
pub use operator::Requests;
pub use options::RecoveryOptions;
pub use reconcile::{Comparison, Repair, Repairs, compare, repair};
use trouble::Trouble;

/// A process that has just started waits so long for its first connection to the broker: a sale
/// that opened before would sell without the broker's confirm at first.
const FIRST_CONNECTION_MAX: Duration = Duration::from_secs(2);

/// The leader's work.
pub struct Recovery {
    stores: Stores,
    telemetry: Telemetry,
    options: RecoveryOptions,
    sweeper: Sweeper,
    /// The workers were asked to stand aside, and not told yet that they may go on.
    holds_workers: bool,
    /// Held while this process leads and reaches the broker.
    bindings: Option<Box<dyn Bindings>>,
    broker_awaited_until: Instant,
    /// What only an operator can do.
    requests: Requests,
    ask_dead_letters_at: Instant,
    /// When the queue of purchases was replaced.
    replaced_at: Option<Instant>,
    no_election: Trouble,
    not_bound: Trouble,
    /// The latest logged failure of each product.
    failures: BTreeMap<ProductId, String>,
    drift: Drift,
    /// When the next comparison is due.
    compare_at: Instant,
    runtime: Runtime,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Recovery").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Recovery {
    pub fn new(stores: Stores, telemetry: Telemetry, options: RecoveryOptions, runtime: &Runtime) -> Self {
        let sweeper = Sweeper::new(stores.clone(), options.sweep_after, runtime);
        Self {
            stores,
            telemetry,
            options,
            sweeper,
            holds_workers: false,
            bindings: None,
            broker_awaited_until: runtime.instant() + FIRST_CONNECTION_MAX,
            requests: Requests::default(),
            ask_dead_letters_at: runtime.instant(),
            replaced_at: None,
            no_election: Trouble::new("no leader can be elected from here"),
            not_bound: Trouble::new("the queue is not bound to the sales"),
            failures: BTreeMap::new(),
            drift: Drift::default(),
            compare_at: runtime.instant(),
            runtime: runtime.clone(),
        }
    }

    /// What the comparisons find.
    pub fn drift(&self) -> Drift {
        self.drift.clone()
    }

    /// What an operator must do for the queues.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }
}

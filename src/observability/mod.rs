//! What operators see of a process: its log (to standard error, as text or JSON), counts, events,
//! readiness, and the process registry.

mod dependency;
mod events;
mod log;
mod meter;
mod outage;
pub mod readiness;
pub mod registry;
mod severity;

use std::sync::Arc;

pub use dependency::{Dependency, Writing};
pub use events::{Event, EventKind, Events};
pub use log::{LogOptions, start_log};
pub use meter::{Attempt, Counts, Durations, Meter, Tally};
pub use outage::Outage;
pub use severity::Severity;

use crate::runtime::Clock;

/// Counts and events of this process; clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub meter: Meter,
    pub events: Events,
    clock: Arc<dyn Clock>,
}

impl Telemetry {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { meter: Meter::default(), events: Events::new(clock.clone()), clock }
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

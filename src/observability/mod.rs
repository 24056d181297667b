//! What a process says of itself: its log, to standard error, as text for people or JSON for machines; what it counts; and
//! the notable things that happened to it.

mod dependency;
mod events;
mod log;
mod meter;
pub mod readiness;
pub mod registry;
mod severity;

use std::sync::Arc;

pub use dependency::Dependency;
pub use events::{Event, EventKind, Events};
pub use log::{LogOptions, start_log};
pub use meter::{Attempt, Counts, Durations, Meter, Tally};
pub use severity::Severity;

use crate::runtime::Clock;

/// Counts and events of this process; clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Counts.
    pub meter: Meter,
    /// Notes.
    pub events: Events,
    clock: Arc<dyn Clock>,
}

impl Telemetry {
    /// With nothing counted or noted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { meter: Meter::default(), events: Events::new(clock.clone()), clock }
    }

    /// The time by which it notes.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

//! What a process says of itself: its log, to standard error, as text for people or JSON for machines; what it counts; and
//! the notable things that happened to it.

mod dependency;
mod events;
mod meter;
pub mod readiness;
pub mod registry;

use std::sync::Arc;

use tracing_subscriber::{EnvFilter, fmt};

pub use dependency::Dependency;
pub use events::{Event, EventKind, Events};
pub use meter::{Attempt, Counts, Durations, Meter, Tally};

use crate::config::Log;
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

/// Starts logging, once per process.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter)?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if log.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging can't start: {error}"))
}

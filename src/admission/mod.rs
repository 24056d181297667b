//! Admission decides who gets a unit, in one atomic step, and remembers the winner until the ledger
//! has the purchase.
//!
//! [`Admission`] has two implementations with one behaviour: [`RedisAdmission`], where every
//! operation is one Lua script, and [`MemoryAdmission`] for the embedded mode. One conformance
//! suite runs the same cases on both.

mod attempts;
mod error;
mod memory;
mod operator;
mod rebuild;
mod redis;
mod settlement;
mod watermarks;

use std::{fmt::Debug, sync::Arc};

pub use attempts::Attempts;
pub use error::AdmissionError;
pub use memory::MemoryAdmission;
pub use operator::OperatorDecisions;
pub use rebuild::Rebuild;
pub use redis::{Connections, Connector, InUse, Keys, Link, RedisAdmission, RedisOptions, Scripts, scripts};
pub use settlement::Settlement;

pub use crate::domain::sale::{
    Contents, Decision, Fence, Found, Horizon, Opening, Reassignment, RebuildStep, SnapshotTotals,
    StagedPart, Watermark, WithdrawnUnit,
};

/// Everything that changes or reads a sale's admission state: the sum of what its callers need.
///
/// Every operation is atomic (but for reads in pages, which say so) and idempotent: repeating one,
/// with the same arguments, is safe at any time, also when the first answer was lost. Exceptions
/// are [`Rebuild::stage`], once a part, and [`Rebuild::fence`], once an epoch. An operation
/// that fails has had no effect, unless the error [is unknown](AdmissionError::is_unknown). Units
/// are numbers of `1..=total_stock`.
///
/// `admit`, `sale`, `find`, `reassign`, `withdraw`, `cancel`, `bar` and `rename` use no state that
/// is behind what this process knows of the sale: they answer [`AdmissionError::NotReady`]. Where a
/// later state was seen, or opened, they also end its use for every process.
///
/// A state belongs to the system that fenced or opened it. To any other system, every operation
/// that is not a mere read of the outbox or the contents answers [`AdmissionError::OtherSystem`].
pub trait Admission: Attempts + Settlement + OperatorDecisions + Rebuild + Debug {
    /// The same admission with resources of its own for the calling server thread, where
    /// that makes it faster.
    fn on_this_thread(&self) -> Arc<dyn Admission>;

    /// Whether an admission outlives this process, so that SUCCESS may be answered before
    /// the broker has it.
    fn outlives_process(&self) -> bool;
}

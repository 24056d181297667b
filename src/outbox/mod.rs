//! The outbox holds every admitted purchase from the moment of admission until the ledger has it.
//!
//! Admission writes the entry, in the same atomic step as the decision. The [`Publisher`] sends a
//! purchase at once and reports the confirm; the [`Sweeper`] sends again what did not arrive.

mod observed;
mod publisher;
mod repeated;
mod sweeper;
mod unconfirmed;

pub use publisher::{Published, Publisher, PublisherTask};
pub use sweeper::{SweepError, Sweeper, Swept};

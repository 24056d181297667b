//! The outbox holds every admitted purchase from the moment of admission until the ledger has it.
//!
//! The entry itself is written by admission, in the same atomic step as the decision. Here are the two that
//! read it: the [`Publisher`], which sends a purchase at once and reports the confirm, and the [`Sweeper`],
//! which sends again what did not arrive.

mod publisher;
mod sweeper;

pub use publisher::Publisher;
pub use sweeper::{SweepError, Sweeper};

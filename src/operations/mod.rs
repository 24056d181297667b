//! What an operator does, one function an operation: an [`Actor`] and the stores in, a value out.
//! The commands are thin callers, as the console's pages and its API can be.

mod actor;
mod audit;
pub mod dead_letters;
mod pause;
pub mod products;
pub mod purchases;
mod reconcile;

pub use actor::Actor;
pub use audit::audit;
pub use pause::{PauseError, pause, resume};
pub use reconcile::{ReconcileError, fix_differences, report_differences};

//! The process registry: every process sends a heartbeat to it, with a report of itself. It is in
//! Redis, where all processes of a system can be seen, or in the memory of the only process.
//!
//! Nothing is decided by heartbeats. A registry that is lost is complete again after a second.

mod heartbeat;
mod liveness;
mod sender;
mod store;

pub use heartbeat::{Heartbeat, Role, Window};
pub(crate) use liveness::{KnownProcess, Liveness};
pub use sender::HeartbeatSender;
pub use store::{ProcessRegistry, RegistryError};

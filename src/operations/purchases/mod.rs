//! Operations on purchases. Each decision is one transaction in the ledger; the leader carries it
//! over to admission within a second, also after a crash.

mod cancel;
mod carried_over;
mod erase;
mod error;
mod export;
mod import;

pub use cancel::cancel;
pub use carried_over::is_carried_over;
pub use erase::{Erasure, erase};
pub use error::PurchaseError;
pub use export::{ExportFormat, export};
pub use import::{BadLine, UserList, import};

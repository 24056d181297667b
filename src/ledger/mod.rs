//! The ledger is the source of truth: who bought which unit.
//!
//! [`Ledger`] has two implementations with one behaviour: [`PostgresLedger`], shared by every
//! process, and [`SqliteLedger`] for the embedded mode. One conformance suite runs the same cases
//! on both.

mod changes;
mod columns;
mod diesel_error;
mod epochs;
mod erase;
mod error;
mod leadership;
mod postgres;
mod products;
mod purchases;
mod recording;
mod rows;
mod sqlite;
mod system;

use std::fmt::Debug;

pub use changes::{Cancelled, ChangeLedger, Erased, Imported};
pub use epochs::{EpochLedger, RaisedEpoch};
pub use error::LedgerError;
pub use leadership::{Leadership, SoleLeader};
pub use postgres::{PostgresLedger, PostgresOptions};
pub use products::{LedgerSale, ProductLedger, check_stock};
pub use purchases::{Confirmation, PurchaseLedger};
pub use recording::{Discard, RecordingLedger, Writer};
pub use sqlite::SqliteLedger;
pub use system::{System, SystemLedger};

/// Records purchases, and keeps what must outlive everything else.
///
/// Every operation is one transaction, and idempotent. An error that [is
/// transient](LedgerError::is_transient) may hide a transaction that was
/// committed: repeat the operation.
pub trait Ledger:
    SystemLedger + ProductLedger + RecordingLedger + PurchaseLedger + ChangeLedger + EpochLedger + Debug
{
}

impl<L> Ledger for L where
    L: SystemLedger + ProductLedger + RecordingLedger + PurchaseLedger + ChangeLedger + EpochLedger + Debug
{
}

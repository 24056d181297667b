//! The three stores that a process is connected to, and whether they are ready.

mod bundle;
mod catalogue;
mod epoch_watch;
mod ledger_watch;
mod sales_watch;

pub use bundle::Stores;
pub use catalogue::{LedgerCatalogue, ReadFile};
pub use epoch_watch::EpochWatch;
pub use ledger_watch::watch_ledger;
pub use sales_watch::{SalesProbe, SalesWatch};

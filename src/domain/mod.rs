//! What a sale is made of: products, units, users, purchases, and the outcome of an attempt.
//!
//! Pure values and rules. Nothing here does I/O, reads a clock or knows a driver.

mod cancellation;
mod catalogue;
mod catalogue_difference;
mod conservation;
mod entry;
mod ledger_counts;
mod ledger_verdict;
mod money;
mod numbers;
mod offer;
mod outcome;
mod picture;
mod product;
mod purchase;
pub mod sale;
mod system;
mod terms;
mod user;

pub use cancellation::{AdmissionChange, Cancellation, ChangeKind, Claims, RecordedPurchase, UsedRight};
pub use catalogue::{Catalogue, CatalogueError};
pub use catalogue_difference::{CatalogueDifference, FieldChange, ProductChange, order_after};
pub use conservation::Conservation;
pub use entry::{Entry, EntryId, EntryIdError, EntryKey};
pub use ledger_counts::LedgerCounts;
pub use ledger_verdict::{LedgerVerdict, Obstacles, UsersPurchase};
pub use money::{Money, MoneyError};
pub use numbers::{countdown, grouped, latency};
pub use offer::{Offer, Offers};
pub use outcome::{Outcome, Phase};
pub use picture::{Picture, PictureError};
pub use product::{Product, ProductId, ProductIdError};
pub use purchase::{Durability, Purchase, PurchaseId, PurchaseState, Revocation};
pub use system::SystemId;
pub use terms::{SaleState, TOTAL_STOCK_MAX, Terms};
pub use user::{UserId, UserIdError};

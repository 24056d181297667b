//! Buying, and apart from it what readers ask.
//!
//! The API and the shop both sell through [`Checkout`] and show what [`SaleReader`] reads.

mod buy;
mod cached_sales;
mod error;
mod reader;

pub use buy::{Answer, Checkout, CheckoutOptions};
pub use cached_sales::CachedSales;
pub use error::CheckoutError;
pub use reader::{PurchaseStatus, SaleReader};

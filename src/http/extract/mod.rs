//! Typed extractors: what a handler takes from a request, checked. Each fails with a
//! [`Problem`](super::problem::Problem).

mod buyer;
mod product;

pub use buyer::{Buyer, BuyerQuery};
pub use product::ProductParam;

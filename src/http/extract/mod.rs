//! Typed extractors: what a handler takes from a request, checked. Each fails with a
//! [`Problem`](super::problem::Problem).

mod buyer;
mod product;
mod query;

pub use buyer::{Buyer, BuyerQuery};
pub use product::ProductParam;
pub(crate) use query::{read_form_query, read_query};

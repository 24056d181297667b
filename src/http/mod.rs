//! The HTTP server with its limits, and what the API, the shop and the operations console share.

pub mod body;
mod connection;
mod connection_budget;
pub mod extract;
mod framing;
pub mod health;
mod last_answer;
mod options;
pub(crate) mod pages;
pub mod problem;
pub(crate) mod routing;
pub mod run;
pub(crate) mod security;
pub mod server;
mod unread;

pub use connection_budget::{ConnectionBudget, Demand, TooFewDescriptors};
pub use options::ApiOptions;
pub use pages::{Link, NamedPictures, PublicUrl, Site};
pub use security::{cors::CorsOrigins, origin::Origin};

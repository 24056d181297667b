//! The HTTP server with its bounds, and what every face of it shares.

pub mod body;
mod options;
pub mod server;
mod unread;

pub use options::ApiOptions;

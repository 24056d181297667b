//! The HTTP server with its bounds, and what every face of it shares.

pub mod body;
pub mod server;
mod unread;

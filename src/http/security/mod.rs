//! What protects browsers: response headers, CSRF protection, and the Host header check.

pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod origin;

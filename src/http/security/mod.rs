//! What protects browsers: response headers, CSRF protection, CORS, and the Host header check.

pub(crate) mod cors;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod origin;

//! All tests that need more than one module, on real servers: run them with `scripts/test`.

mod embedded;
mod gate;
mod support;
mod tidy;

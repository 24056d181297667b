//! All tests that need more than one module, on real servers: run them with `scripts/test`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "real processes run on the real clock")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "a list of one reads better as a list")]

#[path = "../support/admission/mod.rs"]
mod conformance;
#[path = "../support/mutants/mod.rs"]
mod faulty;
#[path = "../support/mod.rs"]
mod support;

mod admission;
mod api;
mod audit;
mod browser;
mod chaos;
mod config;
mod console;
mod console_page;
mod cors;
#[cfg(feature = "failpoints")]
mod crashes;
mod database_hosts;
mod dead_letters;
mod distributed;
mod embedded;
mod faults;
mod http_limits;
mod ledger;
#[cfg(feature = "failpoints")]
mod mutants;
mod products;
mod proxied;
mod purchases;
mod readme;
mod rebuilds;
mod reconcile;
mod recovery;
mod recovery_times;
mod report;
mod restock;
mod roles;
mod secrets;
mod shop;
mod stress;
mod system;
mod terminal;
mod tidy;
mod worker;

//! Limited-stock sales: a product with few units, very many people, all at once.
//!
//! The folders stand in the order in which a purchase passes through them; docs/ARCHITECTURE.md has
//! the picture.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "output is best effort: runtime::output")]

pub mod domain;

pub mod runtime;

pub mod api;
pub mod shop;

pub mod checkout;

pub mod admission;

pub mod outbox;

pub mod broker;

pub mod worker;

pub mod ledger;

pub mod operations;
pub mod recovery;

pub mod audit;

pub mod console;

pub mod stress;

pub mod commands;

pub mod config;
pub mod http;
pub mod observability;
pub mod stores;

//! Limited-stock drops: a product with few units, very many people, all at once.
//!
//! The modules stand in the order in which a purchase passes through them:
//!
//! 1. [`api`] or [`web`] reads the request and hands it to [`checkout`];
//! 2. [`admission`] decides, in one atomic step that also writes the [`outbox`] entry;
//! 3. the outbox's publisher sends the purchase through the [`broker`], and SUCCESS is answered at its confirm;
//! 4. a [`worker`] records it in the [`ledger`], and deletes the outbox entry after the commit;
//! 5. [`recovery`] makes admission anew from the ledger when Redis has lost it.
//!
//! [`domain`] has the words for all of this and does no I/O; [`commands`] wires the parts together.

pub mod domain;

pub mod api;
pub mod web;

pub mod checkout;

pub mod admission;

pub mod outbox;

pub mod broker;

pub mod worker;

pub mod ledger;

pub mod recovery;

pub mod audit;

pub mod control;

pub mod stress;

pub mod commands;

pub mod clock;
pub mod config;
pub mod crash_points;
pub mod dependency;
mod mutants;
pub mod open_files;
pub mod readiness;
pub mod request_body;
pub mod server;
pub mod service_url;
pub mod shutdown;
pub mod telemetry;

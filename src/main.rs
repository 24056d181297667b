//! The `flashsale` program: everything is in the library.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "output is best effort: runtime::output")]

use std::process::ExitCode;

use clap::Parser;
use flashsale::commands::{Cli, Wiring, run};

fn main() -> ExitCode {
    run(Cli::parse(), Wiring::default())
}

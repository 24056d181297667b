//! The `flashsale` program: everything is in the library.

use std::process::ExitCode;

use clap::Parser;
use flashsale::{
    commands::{Cli, run},
    runtime::error_chain,
};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flashsale: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

//! The benchmark: what an attempt costs each process, beside a server that does nothing, in one run.
//! Use `scripts/bench`.
//!
//! Every line is repeated in rounds, alternating with the others; each sample is compared with the
//! no-op sample of its round. The figure to rely on is processor time per attempt: on a shared
//! machine it varies less than rates do.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a tool fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

mod build;
mod cpu;
mod facts;
mod lines;
mod live_updates;
mod load;
mod noop;
mod script;
#[path = "../../tests/support/servers"]
mod servers {
    pub(crate) mod postgres;
    pub(crate) mod rabbitmq;
    pub(crate) mod redis;
    pub(crate) mod server;
}
mod services;
mod table;

use std::{path::PathBuf, process::Command, time::Duration};

use build::{Build, Process, until};
use clap::Parser;
use lines::{LINES, Line};
use services::Services;
use table::Table;

const DOCUMENT: &str = "docs/PERFORMANCE.md";

/// Processor time per attempt of each process, and rates, beside a server that does nothing.
/// Without --quick, --only, --binary and --against, the result is written to docs/PERFORMANCE.md.
#[derive(Parser)]
#[command(name = "scripts/bench")]
struct Options {
    /// Two rounds of two seconds instead of three of eight
    #[arg(long)]
    quick: bool,
    /// How often each line is measured
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Only these lines, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = line_names())]
    only: Vec<String>,
    /// Measure this flashsale instead of the one built from this source
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Measure this flashsale as well, alternating, and show the ratio of the medians
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Measure buyers and readers of the product page beside each other instead
    #[arg(long)]
    shop: bool,
    /// Be the server that does nothing
    #[arg(long, hide = true, value_name = "PORT")]
    noop: Option<u16>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn line_names() -> clap::builder::PossibleValuesParser {
    LINES.iter().map(|line| line.name).collect::<Vec<_>>().into()
}

fn main() {
    let options = Options::parse();
    if let Some(port) = options.noop {
        return noop::serve(port).expect("the no-op server");
    }
    let services = Services::start();
    let binary = options.binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_flashsale").as_ref());
    let mut builds = vec![Build::start("this", binary, &services)];
    // What is written to the document is complete and of this source.
    let is_partial =
        options.quick || !options.only.is_empty() || options.binary.is_some() || options.against.is_some();
    let mut table = Table::default();
    let command = if options.shop {
        let (rounds, scale) = if options.quick { (1, 0.1) } else { (3, 0.3) };
        live_updates::measure(&mut table, &builds[0], rounds, scale);
        "scripts/bench --shop"
    } else {
        builds.extend(options.against.iter().map(|binary| Build::start("other", binary, &services)));
        measure_lines(&mut table, &mut builds, &options);
        if !is_partial {
            facts::measure(&mut table, builds.remove(0));
        }
        "scripts/bench"
    };
    println!("{}", table.markdown(options.against.is_some()));
    if !is_partial {
        table.write(DOCUMENT, command);
    }
}

fn measure_lines(table: &mut Table, builds: &mut [Build<'_>], options: &Options) {
    let (rounds, time) = if options.quick { (2, 2) } else { (3, 8) };
    let rounds = options.rounds.unwrap_or(rounds);
    let is_wanted =
        |line: &Line| options.only.is_empty() || options.only.iter().any(|name| name == line.name);
    let is_reference = |line: &Line| LINES.iter().any(|other| is_wanted(other) && other.reference() == line);
    let noop = start_noop();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for line in LINES.iter().filter(|line| is_wanted(line) || is_reference(line)) {
            // The second build goes first in every other round.
            builds.rotate_left((round as usize + 1) % builds.len());
            for build in builds.iter_mut().take(if line.is_noop() { 1 } else { 2 }) {
                let sample = line.measure(build, &noop, Duration::from_secs(time), &round.to_string());
                let label = if line.is_noop() { "this" } else { build.label };
                table.add(line, label, sample);
            }
            builds.sort_by_key(|build| build.label != "this");
        }
    }
    table.rows.sort_by_key(|row| (LINES.iter().position(|line| *line == row.line), row.build != "this"));
}

fn start_noop() -> Process {
    let port = servers::server::free_port();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--noop", &port.to_string()]);
    let process = Process::start(command, port, "/dev/null".as_ref());
    until("the no-op server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

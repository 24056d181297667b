//! `flashsale stress`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::runtime::{Runtime, error_chain, output};
use crate::stress::{Options, RunResult, SCENARIOS_HELP, Scenario, ScenarioName, run};

/// Put a running system under load and judge the result
///
/// The load client uses HTTP only: it needs nothing but the API's address. Requests are sent on
/// schedule, however slow the responses are, and latency counts from when a request was due. Exits
/// with 0 (PASS), 1 (FAIL) or 2 (UNKNOWN).
///
/// What the public routes do not show (rows in the database, purchases in flight) comes from the
/// API's audit route, which is off unless `flashsale serve --audit-route` switched it on, and
/// answers only clients on the same machine. Without it the result is never PASS.
///
/// The scenarios buy: run them against a rehearsal, never against a real sale.
#[derive(Debug, Args)]
#[command(after_help = SCENARIOS_HELP, after_long_help = SCENARIOS_HELP)]
pub(super) struct Stress {
    /// The scenario
    #[arg(long, value_name = "NAME", value_enum)]
    scenario: ScenarioName,
    /// The API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3001")]
    api: Url,
    /// The shop, for the viewers of `mixed`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    web: Url,
    /// The product; without it, the first of the catalogue
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    /// Prefix of every user id; a new one by default, so that a run can be repeated
    #[arg(long, value_name = "TEXT")]
    users_prefix: Option<String>,
    /// Factor for all rates
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Factor for all times
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    duration_scale: f64,
    /// Factor for all limits of latency, for a machine that is slower than the real one
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    latency_scale: f64,
    /// Attempts of the stampede, instead of 50,000 times --scale and --duration-scale
    #[arg(long, value_name = "N")]
    attempts: Option<u64>,
    /// Write a report: one HTML page with charts
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the history of all requests, for `flashsale audit --history`
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Write goose's own report (not for the stampede, which does not run on goose)
    #[arg(long, value_name = "FILE.html")]
    goose_report: Option<PathBuf>,
}

impl Stress {
    pub(super) async fn run(self, stop: CancellationToken) -> ExitCode {
        match self.result(stop).await {
            Ok(RunResult::Pass) => ExitCode::SUCCESS,
            Ok(RunResult::Fail) => ExitCode::from(1),
            Ok(RunResult::Unknown) => ExitCode::from(2),
            Err(error) => {
                output::note(format_args!("flashsale: no result: {}", error_chain(error.as_ref())));
                ExitCode::from(2)
            }
        }
    }

    async fn result(self, stop: CancellationToken) -> anyhow::Result<RunResult> {
        let factors = [
            ("--scale", self.scale),
            ("--duration-scale", self.duration_scale),
            ("--latency-scale", self.latency_scale),
        ];
        for (name, factor) in factors {
            ensure!((0.001..=1_000.0).contains(&factor), "{name} must be from 0.001 to 1000");
        }
        let mut scenario = Scenario::of(self.scenario, self.scale, self.duration_scale)
            .with_latency_factor(self.latency_scale);
        if let Some(attempts) = self.attempts {
            ensure!((1..=10_000_000).contains(&attempts), "--attempts must be from 1 to 10000000");
            scenario = scenario.with_attempts(attempts).context("--attempts is for the stampede alone")?;
        }
        for url in [&self.api, &self.web] {
            ensure!(url.scheme() == "http", "{url}: only http:// is supported");
        }
        let runtime = Runtime::system();
        let fresh = || format!("s{:x}-", runtime.clock.now().timestamp_millis());
        let users_prefix = self.users_prefix.unwrap_or_else(fresh);
        let printable =
            users_prefix.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        ensure!(
            printable && users_prefix.len() <= 100,
            "--users-prefix must be at most 100 printable ASCII characters without spaces, quotes and backslashes"
        );
        let command = command_line(std::env::args());
        let options = Options {
            scenario,
            api: self.api,
            web: self.web,
            product: self.product,
            users_prefix,
            report: self.report,
            json: self.json,
            history: self.history,
            goose_report: self.goose_report,
            command,
        };
        let verdict = run(options, &runtime, &stop).await.context("stress")?;
        output::print(&verdict).await;
        Ok(verdict.result)
    }
}

/// Quoted for a shell, without the folder of the program.
fn command_line(words: impl IntoIterator<Item = String>) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte))
    };
    let quoted =
        |word: &str| if plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(name).chain(words.map(|word| quoted(&word))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_in_a_report_can_be_run_again() {
        let words = ["/opt/bin/flashsale", "stress", "--api", "http://h:1", "--report", "a b/r's.html"];
        let line = command_line(words.map(str::to_owned));
        assert_eq!(line, r"flashsale stress --api http://h:1 --report 'a b/r'\''s.html'");
    }
}

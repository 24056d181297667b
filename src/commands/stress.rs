//! `flashsale stress`

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::overrides::Overrides;
use crate::http::server::reachable;
use crate::runtime::{
    Runtime, error_chain, output,
    secrets::{hide, scrub},
};
use crate::stress::{
    ConsoleAccess, NoConsole, Options, RunResult, SCENARIOS_HELP, Scenario, ScenarioName, run,
};

/// Put a running system under load and judge the result
///
/// The load client uses HTTP only: it needs nothing but the API's address. Requests are sent on
/// schedule, however slow the responses are, and latency counts from when a request was due. Exits
/// with 0 (PASS), 1 (FAIL) or 2 (UNKNOWN: nothing failed, but what decides was not measured, as in
/// a run without requests; or no result).
///
/// What the public routes do not show (rows in the database, purchases in flight) comes from the
/// operations console, which wants the token that `flashsale serve` (or `web`) has written into
/// its token file. On the same machine, with the same configuration, address and file need not be
/// named. Without them the result is never PASS.
///
/// The scenarios buy: run them against a rehearsal, never against a real sale.
#[derive(Debug, Args)]
#[command(after_help = SCENARIOS_HELP, after_long_help = SCENARIOS_HELP)]
pub(super) struct Stress {
    /// The scenario
    #[arg(long, value_name = "NAME", value_enum)]
    scenario: ScenarioName,
    /// The API, perhaps below a path [default: at the configured port of this machine]
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// The shop, for the viewers of `mixed` [default: at the API's host, and the configured port]
    #[arg(long, value_name = "URL")]
    web: Option<Url>,
    /// The operations console, which is sent the token [default: at the API's host, if that is this
    /// machine, and the configured port]
    #[arg(long, value_name = "URL")]
    console: Option<Url>,
    /// The console's token file [default: the configured one]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
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
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> ExitCode {
        match self.result(overrides, stop).await {
            Ok(RunResult::Pass) => ExitCode::SUCCESS,
            Ok(RunResult::Fail) => ExitCode::from(1),
            Ok(RunResult::Unknown) => ExitCode::from(2),
            Err(error) => {
                output::note(format_args!("flashsale: no result: {}", error_chain(error.as_ref())));
                ExitCode::from(2)
            }
        }
    }

    async fn result(self, overrides: &Overrides, stop: CancellationToken) -> anyhow::Result<RunResult> {
        // goose announces its users, and would fail with the stream.
        if let Err(error) = output::discard_what_libraries_print() {
            output::note(format_args!("flashsale: goose will write to standard output: {error}"));
        }
        let scenario = self.scenario()?;
        for url in [&self.api, &self.web, &self.console].into_iter().flatten() {
            check_url(url)?;
        }
        let settings = overrides.settings()?;
        let api = self.api.clone().map_or_else(|| url_of(settings.api.addr), Ok)?;
        let web = self.web.clone().map_or_else(|| beside(&api, settings.web_addr), Ok)?;
        let console = self.console(settings.console.addr)?;
        if let Some(path) = &self.goose_report {
            ensure!(path.extension().is_some_and(|end| end == "html"), "--goose-report must end in .html");
            ensure!(
                self.scenario != ScenarioName::Stampede,
                "--goose-report: the stampede does not run on goose"
            );
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
        let token_file = self.token_file.or(settings.console.token_file);
        let command = scrub(&command_line(std::env::args())).into_owned();
        let options = Options {
            scenario,
            api,
            web,
            console: console.map(|url| ConsoleAccess { url, token_file }),
            product: self.product,
            users_prefix,
            report: self.report,
            json: self.json,
            history: self.history,
            goose_report: self.goose_report,
            command,
        };
        let verdict = run(options, &runtime, &stop).await.context("stress")?;
        output::print(verdict.show(output::report_screen())).await;
        Ok(verdict.result)
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        let factors = [
            ("--scale", self.scale, 0.001),
            ("--duration-scale", self.duration_scale, 0.001),
            ("--latency-scale", self.latency_scale, 0.000_001),
        ];
        for (name, factor, least) in factors {
            ensure!((least..=1_000.0).contains(&factor), "{name} must be from {least} to 1000");
        }
        let scenario = Scenario::of(self.scenario, self.scale, self.duration_scale)
            .with_latency_factor(self.latency_scale);
        let Some(attempts) = self.attempts else { return Ok(scenario) };
        ensure!((1..=10_000_000).contains(&attempts), "--attempts must be from 1 to 10000000");
        scenario.with_attempts(attempts).context("--attempts is for the stampede alone")
    }

    /// Where the token is sent: to a console that is named, or to this machine.
    fn console(&self, configured: Option<SocketAddr>) -> anyhow::Result<Result<Url, NoConsole>> {
        if let Some(named) = &self.console {
            return Ok(Ok(named.clone()));
        }
        let Some(addr) = configured else { return Ok(Err(NoConsole::NotConfigured)) };
        let url = self.api.as_ref().map_or_else(|| url_of(addr), |api| beside(api, addr))?;
        if is_on_this_machine(&url) {
            return Ok(Ok(url));
        }
        ensure!(
            self.token_file.is_none(),
            "the token would be sent to {url}, which is another machine: name the console with --console"
        );
        Ok(Err(NoConsole::NotNamed))
    }
}

/// The URL at which this machine reaches a server that listens there.
fn url_of(addr: SocketAddr) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://{}", reachable(addr)))?)
}

/// The URL of another server of the system whose API is there.
fn beside(api: &Url, addr: SocketAddr) -> anyhow::Result<Url> {
    let mut url = api.clone();
    // A path is of the API alone.
    url.set_path("");
    ensure!(url.set_port(Some(addr.port())).is_ok(), "{api} has no host");
    Ok(url)
}

fn check_url(url: &Url) -> anyhow::Result<()> {
    ensure!(url.scheme() == "http", "{url}: only http:// is supported");
    if !url.username().is_empty() || url.password().is_some() {
        hide(url.password().unwrap_or_default().as_bytes());
        let mut shown = url.clone();
        // Both can be removed from a URL that has a host.
        let _ = (shown.set_username(""), shown.set_password(None));
        bail!("{shown}: a user or a password is not supported");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("{}: a query or a fragment is not supported", url.origin().ascii_serialization());
    }
    Ok(())
}

fn is_on_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
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

//! Load scenarios that end in a verdict. A client like any other: HTTP only. What it can't see over the public routes comes
//! from the API's audit route.
//!
//! [`run`] is a run from beginning to end: `target` is asked what is for sale, the `crowd` (on goose) or everybody
//! `at_once` buys on schedule while `watch` looks at the stock, the `recorder` notes everything, and then the
//! `verdict` is found and the `report` written.

mod aftermath;
mod arrivals;
mod at_once;
mod chart;
mod crowd;
mod hostile;
mod output;
mod recorder;
mod report;
mod scenario;
mod shape;
mod target;
mod told;
mod verdict;
mod view;
mod watch;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::runtime::Clock;
use arrivals::Arrivals;
use crowd::Errand;
use recorder::Recorder;
pub use scenario::{Load, SCENARIOS_HELP, Scenario, ScenarioName, Thresholds};
pub use shape::{Ramp, Shape};
use target::Target;
pub use told::Told;
pub use verdict::{Result, Verdict};

const NO_AUDIT: &str =
    "nothing was audited: the API has no audit route for us; start it with `flashsale serve --audit-route`";

/// How long before an opening the connections of those who wait for it are made.
const GATHER_BEFORE: Duration = Duration::from_secs(10);

/// Goose takes SIGINT over for itself, unless there is a handler already.
fn take_over_interrupts(stop: &CancellationToken) {
    let stop = stop.clone();
    if let Err(error) = ctrlc::set_handler(move || stop.cancel()) {
        tracing::debug!(%error, "SIGINT is handled already");
    }
}

/// What to run, and against whom.
#[derive(Debug)]
pub struct Options {
    /// The load.
    pub scenario: Scenario,
    /// The API.
    pub api: Url,
    /// The pages.
    pub web: Url,
    /// The product; the first one, if none is named.
    pub product: Option<String>,
    /// What every user's id begins with.
    pub users_prefix: String,
    /// Where to write the report.
    pub report: Option<PathBuf>,
    /// Where to write the result as JSON.
    pub json: Option<PathBuf>,
    /// Where to write the history.
    pub history: Option<PathBuf>,
    /// Where goose is to write its own report.
    pub goose_report: Option<PathBuf>,
    /// The command line, for the report.
    pub command: String,
}

/// What a run was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The scenario.
    pub scenario: &'static str,
    /// What it answers.
    pub question: &'static str,
    /// What was bought, and where.
    pub product: String,
    /// The API.
    pub api: String,
    /// When it began, RFC 3339.
    pub began_at: String,
    /// Processor, cores and system of the machine that made the load.
    pub machine: String,
    /// This program's version.
    pub version: &'static str,
    /// What was run.
    pub command: String,
    /// Whether requests were due at given times.
    pub on_schedule: bool,
}

/// Runs a scenario to its verdict, and writes what was asked for.
pub async fn run(options: Options, clock: &dyn Clock, stop: &CancellationToken) -> anyhow::Result<Verdict> {
    let Options { scenario, api, web, product, users_prefix, .. } = &options;
    let (target, sale) =
        Target::find(api.clone(), web.clone(), product.as_deref(), users_prefix.clone(), clock.now()).await?;
    anyhow::ensure!(
        sale.status == "ACTIVE" || (sale.status == "UPCOMING" && sale.start_at.is_some()),
        "the sale is {}: nothing can be bought; take one that is open, or about to open",
        sale.status
    );
    let audited = target.counts().await?.is_some();
    let before = if audited { Some(target.evidence().await?) } else { None };
    eprintln!("{}: {}", scenario.name.as_str(), scenario.question);
    eprintln!("{} at {}, {} units, {}", sale.product.name, target.api, sale.product.total_stock, sale.status);
    let run = Run {
        scenario: scenario.name.as_str(),
        question: scenario.question,
        product: format!("{} ({})", sale.product.name, sale.product.id),
        api: target.api.to_string(),
        began_at: clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        machine: output::machine(),
        version: env!("CARGO_PKG_VERSION"),
        command: options.command.clone(),
        on_schedule: !matches!(scenario.buyers, Load::Clicking { .. }),
    };
    let goose_report = options.goose_report.as_ref().map(|path| path.display().to_string());
    let loading = Box::pin(load(scenario, &target, &sale, clock, goose_report.as_deref(), stop));
    let (recorder, misuse) = loading.await?;

    let mut lines = recorder.look(|record| verdict::of_load(record, &scenario.thresholds));
    let mut doubts = recorder.look(verdict::doubts_of_answers);
    if run.on_schedule {
        let (line, doubt) = recorder.look(|record| verdict::of_schedule(record, scenario.late_after));
        lines.push(line);
        // Everybody at once is more than can be served at once: being late is part of the question.
        let may_be_late = matches!(scenario.buyers, Load::AtOnce { .. });
        doubts.extend(doubt.filter(|_| !may_be_late));
    }
    lines.extend(misuse.iter().flat_map(verdict::of_misuse));
    let mut report = None;
    match before {
        _ if stop.is_cancelled() => doubts.push("it was stopped before its end, and not audited".to_owned()),
        None => doubts.push(NO_AUDIT.to_owned()),
        Some(before) => {
            match aftermath::audit(&target, &recorder, before, scenario.people(), &mut doubts).await {
                Ok((of_stores, audited)) => {
                    lines.extend(of_stores);
                    report = Some(audited);
                }
                Err(error) => doubts.push(format!("it could not be audited: {error:#}")),
            }
        }
    }
    let verdict = Verdict::new(lines, doubts, report);
    output::write(&options, &run, &recorder, &verdict)?;
    Ok(verdict)
}

/// Makes the load; what was recorded, and what became of the misuse if there was any.
async fn load(
    scenario: &Scenario,
    target: &Target,
    sale: &target::Sale,
    clock: &dyn Clock,
    goose_report: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<(Recorder, Option<hostile::Misuse>)> {
    let plan = Plan::of(scenario);
    take_over_interrupts(stop);
    let opens_in = match (sale.status.as_str(), sale.start_at) {
        ("UPCOMING", Some(at)) => (at - clock.now()).to_std().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let opening = Instant::now() + opens_in;
    if !opens_in.is_zero() {
        eprintln!("waiting {:.0} s for the opening", opens_in.as_secs_f64());
        tokio::select! {
            () = tokio::time::sleep_until((Instant::now() + opens_in.saturating_sub(GATHER_BEFORE)).into()) => {}
            () = stop.cancelled() => {}
        }
    }
    // Connections are open before the opening, so that everybody can come at once.
    let waiting = match &scenario.buyers {
        Load::AtOnce { attempts, within } => {
            Some(at_once::gather(target, *attempts, *within, scenario.repeat_every).await?)
        }
        _ => None,
    };
    let recorder = Recorder::new(opening.max(Instant::now() + plan.gathering), scenario.late_after)?;
    let (beside, misusing_stop) = (CancellationToken::new(), CancellationToken::new());
    let title = scenario.name.as_str().to_owned();
    let watching = [
        tokio::spawn(watch::watch(target.clone(), recorder.clone(), beside.clone())),
        tokio::spawn(view::show(recorder.clone(), plan.length, title, beside.clone())),
    ];
    let misusing =
        scenario.hostile.then(|| tokio::spawn(hostile::misuse(target.clone(), misusing_stop.clone())));
    let running = async {
        if let Some(waiting) = waiting {
            waiting.go(target, &recorder, stop).await;
            return anyhow::Ok(());
        }
        Box::pin(send_crowds(scenario, target, &recorder, &plan, goose_report, stop)).await
    };
    running.await?;
    misusing_stop.cancel();
    let misuse = match misusing {
        Some(misusing) => Some(misusing.await.context("the misuse")??),
        None => None,
    };
    beside.cancel();
    for one in watching {
        ended(one).await;
    }
    Ok((recorder, misuse))
}

async fn ended(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::warn!(%error, "a task of the run did not end well");
    }
}

/// What follows from a scenario's load.
struct Plan {
    /// How long it takes, where that is known.
    length: Duration,
    /// Hands for the buyers, and for those who look.
    buyers: usize,
    lookers: usize,
    /// How long it takes until all hands are there.
    gathering: Duration,
}

impl Plan {
    fn of(scenario: &Scenario) -> Self {
        let (buyers, length) = match &scenario.buyers {
            Load::Clicking { people, time, .. } => (*people, *time),
            Load::Arriving(shape) => (crowd::hands_for(shape.peak_per_s()), shape.duration()),
            Load::AtOnce { within, .. } => (0, *within),
        };
        let lookers = scenario.lookers.as_ref().map_or(0, |shape| crowd::hands_for(shape.peak_per_s()));
        let gathering = crowd::gathering_time(buyers.max(lookers));
        Self { length, buyers, lookers, gathering }
    }
}

async fn send_crowds(
    scenario: &Scenario,
    target: &Target,
    recorder: &Recorder,
    plan: &Plan,
    goose_report: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let errand = match &scenario.buyers {
        Load::Clicking { pause_max, time, .. } => {
            let (repeat_every, until) = (scenario.repeat_every, recorder.began + *time);
            Errand::Click { repeat_every, pause_max: *pause_max, until, stop: stop.clone() }
        }
        Load::Arriving(shape) => Errand::Buy {
            arrivals: Arrivals::new(recorder.began, shape.clone(), stop.clone()),
            repeat_every: scenario.repeat_every,
            impatient: scenario.impatient,
        },
        Load::AtOnce { .. } => return Ok(()),
    };
    let buying = crowd::send(target, recorder, errand, plan.buyers, goose_report);
    let Some(shape) = &scenario.lookers else { return Box::pin(buying).await };
    let errand = Errand::Look { arrivals: Arrivals::new(recorder.began, shape.clone(), stop.clone()) };
    let looking = crowd::send(target, recorder, errand, plan.lookers, None);
    futures_util::future::try_join(Box::pin(buying), Box::pin(looking)).await.map(drop)
}

//! Sends the load of a scenario, from the wait for the opening of the sale to the last response.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    arrivals::Arrivals,
    hostile::{self, HostileCounts},
    polling, progress,
    recorder::Recorder,
    scenario::{Load, Scenario},
    stampede::Stampede,
    target::{Target, TargetSale},
    virtual_users::{self, Workload},
};
use crate::runtime::{Runtime, output};

/// The connections of a stampede are opened this long before the opening of the sale.
const CONNECT_BEFORE: Duration = Duration::from_secs(10);

pub(super) async fn send(
    scenario: &Scenario,
    target: &Target,
    sale: &TargetSale,
    runtime: &Runtime,
    goose_report: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<(Recorder, Option<HostileCounts>)> {
    let plan = Plan::of(scenario);
    install_interrupt_handler(stop);
    let opening = wait_for_opening(sale, runtime, stop).await;
    let stampede = match &scenario.buyers {
        Load::Stampede { attempts, within } => {
            Some(Stampede::connect(target, *attempts, *within, scenario.repeat_every).await?)
        }
        _ => None,
    };
    let began = opening.max(runtime.instant() + plan.start_time);
    let recorder = Recorder::new(began, scenario.late_after, runtime)?;
    let (background_stop, hostile_stop) = (CancellationToken::new(), CancellationToken::new());
    let title = scenario.name.as_str().to_owned();
    let background = [
        tokio::spawn(polling::poll(target.clone(), recorder.clone(), background_stop.clone())),
        tokio::spawn(progress::show(recorder.clone(), plan.length, title, background_stop.clone())),
    ];
    let hostile = scenario.hostile.then(|| tokio::spawn(hostile::run(target.clone(), hostile_stop.clone())));
    match stampede {
        Some(stampede) => stampede.run(target, &recorder, stop).await,
        None => Box::pin(run_virtual_users(scenario, target, &recorder, &plan, goose_report, stop)).await?,
    }
    hostile_stop.cancel();
    let counts = match hostile {
        Some(hostile) => Some(hostile.await.context("hostile requests")??),
        None => None,
    };
    background_stop.cancel();
    for task in background {
        join(task).await;
    }
    Ok((recorder, counts))
}

/// Goose installs its own handler of SIGINT unless one is there.
fn install_interrupt_handler(stop: &CancellationToken) {
    let stop = stop.clone();
    if let Err(error) = ctrlc::set_handler(move || stop.cancel()) {
        tracing::debug!(%error, "SIGINT has a handler already");
    }
}

/// Waits until shortly before the opening, and returns its instant.
async fn wait_for_opening(sale: &TargetSale, runtime: &Runtime, stop: &CancellationToken) -> Instant {
    let opens_in = match (sale.status.as_str(), sale.start_at) {
        ("UPCOMING", Some(at)) => (at - runtime.clock.now()).to_std().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let now = runtime.instant();
    if !opens_in.is_zero() {
        output::note(format_args!("waiting {:.0} s for the opening", opens_in.as_secs_f64()));
        tokio::select! {
            () = tokio::time::sleep_until((now + opens_in.saturating_sub(CONNECT_BEFORE)).into()) => {}
            () = stop.cancelled() => {}
        }
    }
    now + opens_in
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::warn!(%error, "a background task of the run failed");
    }
}

/// What follows from a scenario's load.
struct Plan {
    /// Of a run, as far as it is known.
    length: Duration,
    buying_users: usize,
    viewing_users: usize,
    /// Until all virtual users have started.
    start_time: Duration,
}

impl Plan {
    fn of(scenario: &Scenario) -> Self {
        let (buying_users, length) = match &scenario.buyers {
            Load::Closed { virtual_users, time, .. } => (*virtual_users, *time),
            Load::Open(shape) => (virtual_users::users_for(shape.peak_per_s()), shape.duration()),
            Load::Stampede { within, .. } => (0, *within),
        };
        let viewers = scenario.viewers.as_ref();
        let viewing_users = viewers.map_or(0, |shape| virtual_users::users_for(shape.peak_per_s()));
        let start_time = virtual_users::start_time(buying_users.max(viewing_users));
        Self { length, buying_users, viewing_users, start_time }
    }
}

async fn run_virtual_users(
    scenario: &Scenario,
    target: &Target,
    recorder: &Recorder,
    plan: &Plan,
    goose_report: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let workload = match &scenario.buyers {
        Load::Closed { think_time_max, time, .. } => Workload::BuyInLoop {
            repeat_every: scenario.repeat_every,
            think_time_max: *think_time_max,
            until: recorder.began + *time,
            stop: stop.clone(),
        },
        Load::Open(shape) => Workload::Buy {
            arrivals: Arrivals::new(recorder.began, shape.clone(), stop.clone()),
            repeat_every: scenario.repeat_every,
            erratic: scenario.erratic,
        },
        Load::Stampede { .. } => return Ok(()),
    };
    let buying = virtual_users::run(target, recorder, workload, plan.buying_users, goose_report);
    let Some(shape) = &scenario.viewers else { return Box::pin(buying).await };
    let workload = Workload::View { arrivals: Arrivals::new(recorder.began, shape.clone(), stop.clone()) };
    let viewing = virtual_users::run(target, recorder, workload, plan.viewing_users, None);
    futures_util::future::try_join(Box::pin(buying), Box::pin(viewing)).await.map(drop)
}

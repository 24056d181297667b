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
    virtual_users,
    workload::Workload,
};
use crate::domain::countdown;
use crate::runtime::{Runtime, output};

/// The connections of a stampede are opened this long before the opening of the sale.
const CONNECT_BEFORE: Duration = Duration::from_secs(10);
const COUNTDOWN_INTERVAL: Duration = Duration::from_secs(1);

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
    if stop.is_cancelled() {
        return Ok((Recorder::new(runtime.instant(), scenario.late_after, runtime)?, None));
    }
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
        tokio::spawn(progress::show(recorder.clone(), scenario.length(), title, background_stop.clone())),
    ];
    let hostile = scenario.hostile.then(|| tokio::spawn(hostile::run(target.clone(), hostile_stop.clone())));
    let sending = async {
        match stampede {
            Some(stampede) => stampede.run(target, &recorder, stop).await,
            None => {
                Box::pin(run_virtual_users(scenario, target, &recorder, &plan, goose_report, stop)).await?;
            }
        }
        hostile_stop.cancel();
        match hostile {
            Some(hostile) => Ok(Some(hostile.await.context("hostile requests")??)),
            None => anyhow::Ok(None),
        }
    };
    let counts = Box::pin(sending).await;
    // The status leaves the terminal, whatever the end was.
    background_stop.cancel();
    for task in background {
        join(task).await;
    }
    Ok((recorder, counts?))
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
    let opening = runtime.instant() + opens_in;
    let until = opening.checked_sub(CONNECT_BEFORE).unwrap_or(opening);
    if !opens_in.is_zero() {
        output::note(format_args!("opens in {}", countdown(opens_in)));
    }
    let mut interval = tokio::time::interval(COUNTDOWN_INTERVAL);
    while runtime.instant() < until && !stop.is_cancelled() {
        tokio::select! {
            _ = interval.tick() => {}
            () = tokio::time::sleep_until(until.into()) => {}
            () = stop.cancelled() => {}
        }
        if output::screen().is_some() {
            let left = opening.saturating_duration_since(runtime.instant());
            output::show_status(&[format!("opens in {} (Ctrl-C stops)", countdown(left))]);
        }
    }
    output::clear_status();
    opening
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::warn!(%error, "a background task of the run failed");
    }
}

/// What follows from a scenario's load.
struct Plan {
    buying_users: usize,
    viewing_users: usize,
    /// Until all virtual users have started.
    start_time: Duration,
}

impl Plan {
    fn of(scenario: &Scenario) -> Self {
        let buying_users = match &scenario.buyers {
            Load::Closed { virtual_users, .. } => *virtual_users,
            Load::Open(shape) => virtual_users::users_for(shape.peak_per_s()),
            Load::Stampede { .. } => 0,
        };
        let viewers = scenario.viewers.as_ref();
        let viewing_users = viewers.map_or(0, |shape| virtual_users::users_for(shape.peak_per_s()));
        let start_time = virtual_users::start_time(buying_users.max(viewing_users));
        Self { buying_users, viewing_users, start_time }
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

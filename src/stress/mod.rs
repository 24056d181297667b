//! Load scenarios that end in a verdict. The load client uses HTTP only; what the public routes do
//! not show comes from the operations console, with the token in its file.
//!
//! [`run`] is one run: `target` reads what is on sale, `virtual_users` (on goose) or the `stampede`
//! sends the load while `polling` reads the stock, the `recorder` keeps the measurements, `audit`
//! and the `criteria` lead to the `verdict`, and `files` writes the files.

mod announcement;
mod arrivals;
mod audit;
mod chart;
mod console;
mod criteria;
mod files;
mod head;
mod hostile;
mod load;
mod options;
mod polling;
mod progress;
mod recorder;
mod report;
mod response;
mod scale;
mod scenario;
mod shape;
mod stampede;
mod store_criteria;
mod target;
mod verdict;
mod virtual_users;
mod workload;

use tokio_util::sync::CancellationToken;

use crate::audit::Evidence;
use crate::domain::ProductId;
use crate::runtime::{Runtime, error_chain};
use console::Console;
pub use console::{ConsoleAccess, NoConsole};
use files::Files;
use head::Run;
pub use options::Options;
use scenario::Load;
pub use scenario::{SCENARIOS_HELP, Scenario, ScenarioName};
use target::{Target, TargetSale};
pub use verdict::{RunResult, RunVerdict};

/// The console, with what the stores held before the run.
async fn open_console(
    access: Result<&ConsoleAccess, &NoConsole>,
    product: &ProductId,
    client: &reqwest::Client,
) -> anyhow::Result<(Console, Evidence)> {
    let access = access.map_err(|why| *why)?;
    let console = Console::open(access, product, client).await?;
    let before = console.evidence().await?;
    Ok((console, before))
}

fn head(options: &Options, target: &Target, sale: &TargetSale, runtime: &Runtime) -> Run {
    Run {
        scenario: options.scenario.name.as_str(),
        question: announcement::question(&options.scenario),
        load: announcement::load(&options.scenario),
        product: format!("{} ({})", sale.product.name, sale.product.id),
        api: target.api.to_string(),
        began_at: runtime.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        machine: files::machine(),
        version: env!("CARGO_PKG_VERSION"),
        command: options.command.clone(),
        open_model: !matches!(options.scenario.buyers, Load::Closed { .. }),
        p95_max: options.scenario.thresholds.p95_max,
    }
}

/// Runs a scenario and writes the files that the options name.
pub async fn run(
    options: Options,
    runtime: &Runtime,
    stop: &CancellationToken,
) -> anyhow::Result<RunVerdict> {
    let Options { scenario, api, web, product, users_prefix, .. } = &options;
    let files = Files::open(&options)?;
    let (mut target, sale) =
        Target::find(api.clone(), web.clone(), product.as_deref(), users_prefix.clone(), runtime).await?;
    anyhow::ensure!(
        sale.status == "ACTIVE" || (sale.status == "UPCOMING" && sale.start_at.is_some()),
        "the sale is {}: nothing can be bought; choose a sale that is active, or that has a start time ahead",
        sale.status
    );
    let audited = open_console(options.console.as_ref(), &target.product, &target.client).await;
    let mut unknown = announcement::blind_spots(scenario, target.stock().await.ok());
    match &audited {
        Ok((console, _)) => target.console = Some(console.clone()),
        Err(why) => unknown.push(format!(
            "nothing will be audited, so the result will not be PASS: {}",
            error_chain(why.as_ref())
        )),
    }
    let run = head(&options, &target, &sale, runtime);
    announcement::announce(&run, &sale, &unknown);
    let goose_report = options.goose_report.as_ref().map(|path| path.display().to_string());
    let loading = Box::pin(load::send(scenario, &target, &sale, runtime, goose_report.as_deref(), stop));
    let (recorder, hostile) = loading.await?;

    let mut criteria = recorder.read(|record| criteria::of_load(record, &scenario.thresholds));
    let mut doubts = recorder.read(criteria::doubts_of_load);
    if run.open_model {
        let (criterion, doubt) = recorder.read(|record| criteria::of_schedule(record, scenario.late_after));
        criteria.push(criterion);
        // A stampede exceeds what can be served at once: late requests are part of the question.
        let may_be_late = matches!(scenario.buyers, Load::Stampede { .. });
        doubts.extend(doubt.filter(|_| !may_be_late));
    }
    criteria.extend(hostile.iter().flat_map(criteria::of_hostile));
    let mut report = None;
    match audited {
        _ if stop.is_cancelled() => {
            doubts.push("the run was stopped before its end, and not audited".to_owned());
        }
        Err(why) => doubts.push(format!("nothing was audited: {}", error_chain(why.as_ref()))),
        Ok((console, before)) => {
            let buyers_min = scenario.buyers_min();
            match audit::audit(&target, &console, &recorder, before, buyers_min, &mut doubts).await {
                Ok((of_stores, audited)) => {
                    criteria.extend(of_stores);
                    report = Some(audited);
                }
                Err(error) => {
                    doubts.push(format!("the run could not be audited: {}", error_chain(error.as_ref())));
                }
            }
        }
    }
    let verdict = RunVerdict::new(criteria, doubts, report);
    files.write(&run, &recorder, &verdict);
    Ok(verdict)
}

//! `flashsale work`

use anyhow::bail;
use clap::Args;
use futures_util::future::{join, join_all};
use tokio_util::sync::CancellationToken;

use super::settings::{Mode, Purpose};
use super::{
    overrides::Overrides,
    servers::listen_health,
    stores::{self, Connected},
};
use crate::http::run::run;
use crate::observability::registry::Role;
use crate::recovery::Recovery;
use crate::runtime::shutdown;
use crate::stores::EpochWatch;
use crate::worker::Worker;

/// Record purchases in the database, and keep admission true to it (distributed mode)
///
/// Needs DATABASE_URL, REDIS_URL and AMQP_URL. Takes purchases from the queue into PostgreSQL; any
/// number can run side by side. One of them, elected, prepares sales, rebuilds Redis after a loss,
/// and sweeps the outbox.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale work --health-addr 127.0.0.1:3002")]
pub(super) struct Work {
    /// Where to answer /healthz and /readyz (or FLASHSALE_WORK_HEALTH_ADDR) [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    health_addr: Option<String>,
}

impl Work {
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> anyhow::Result<()> {
        let settings =
            overrides.settings_for(Purpose::Products, &[("work.health_addr", self.health_addr.as_ref())])?;
        if matches!(settings.mode, Mode::Embedded { .. }) {
            bail!(
                "no service is configured, so the system runs embedded: `flashsale serve` does the worker's work in \
                 its own process. To run `work` by itself set DATABASE_URL, REDIS_URL and AMQP_URL."
            );
        }
        let connected = stores::connect(&settings, "work", overrides.wiring).await?;
        let Connected { stores, telemetry, runtime, ledger_state: state, .. } = &connected;
        let options = settings.recovery.clone();
        let recovery = Recovery::new(stores.clone(), telemetry.clone(), options, runtime);
        let background = CancellationToken::new();
        let readiness = connected
            .readiness(&connected.sales(), true, &background)
            .with(recovery.drift())
            .with(recovery.requests());
        let reporting = connected.report(Role::Work, readiness.clone(), &background);
        let servers = listen_health(&settings, readiness, &stop)?.into_iter().collect();
        let mut working = Vec::new();
        let starting = async {
            connected.prepare(&settings, &stop).await?;
            // A worker, or the leader, must not settle or rebuild on a former primary.
            let epochs = EpochWatch::new(stores, runtime).run(background.clone());
            working.push(runtime.tasks.spawn("the watch of epochs", &background, epochs));
            working.push(runtime.tasks.spawn("the recovery", &background, recovery.run(background.clone())));
            working.extend((0..settings.worker.lanes).map(|_| {
                let options = settings.worker.clone();
                let (stores, telemetry) = (stores.clone(), telemetry.clone());
                let worker = Worker::new(stores, telemetry, options, state.clone(), runtime);
                runtime.tasks.spawn("a worker", &background, worker.run(background.clone()))
            }));
            Ok(())
        };
        let ended = run(servers, starting, &runtime.tasks, &stop).await;
        background.cancel();
        shutdown::finish("the worker, the recovery and the report", join(join_all(working), reporting)).await;
        ended?;
        Ok(runtime.tasks.check()?)
    }
}

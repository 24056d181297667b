//! `flashsale serve`

use clap::Args;
use futures_util::future::{join, join_all};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::settings::{Mode, Purpose, Settings};
use super::{
    data_dir::DataDir,
    overrides::Overrides,
    process,
    servers::Servers,
    started::Started,
    stores::{self, Connected},
};
use crate::http::run::run;
use crate::observability::registry::Role;
use crate::outbox::Publisher;
use crate::recovery::Recovery;
use crate::runtime::shutdown::{Shutdown, finish};
use crate::worker::Worker;

/// Serve the JSON API; embedded, also the pages and the worker
///
/// Distributed (DATABASE_URL, REDIS_URL and AMQP_URL set): the JSON API alone; run any
/// number of them, with at least one `flashsale work`. It starts at once and tells at
/// /readyz what it waits for. Embedded (none set): the whole system in this process, with
/// its database in the data directory.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale serve &
  curl -XPOST localhost:3001/sale/buy -H 'content-type: application/json' -d '{\"userId\":\"buyer-1\"}'")]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(super) struct Serve {
    /// Where the API listens (or FLASHSALE_API_ADDR) [default: 127.0.0.1:3001]
    #[arg(long, value_name = "ADDR")]
    api_addr: Option<String>,
    /// Where the pages are served in the embedded mode (or FLASHSALE_WEB_ADDR) [default:
    /// 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    web_addr: Option<String>,
    /// Where the operations console is served in the embedded mode (or FLASHSALE_CONSOLE_ADDR)
    /// [default: 127.0.0.1:3003]
    #[arg(long, value_name = "ADDR")]
    console_addr: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, overrides: &Overrides, shutdown: Shutdown) -> anyhow::Result<()> {
        let own = [
            ("api.addr", self.api_addr.as_ref()),
            ("web.addr", self.web_addr.as_ref()),
            ("console.addr", self.console_addr.as_ref()),
        ];
        let settings = overrides.settings_for(Purpose::Serve, &own)?;
        let stop = shutdown.after(settings.api.drain);
        let connected = stores::connect(&settings, "serve", overrides.wiring).await?;
        if connected.data_dir.is_some() {
            // A file is there at once or never.
            connected.prepare(&settings, &stop).await?;
        }
        let (publisher, task) = Publisher::new(connected.stores.broker.clone(), &connected.runtime);
        let tasks = &connected.runtime.tasks;
        let sending = tasks.spawn("the publisher", &stop, task.run());
        let sales = connected.sales();
        let checkout = process::checkout(&settings, &connected, publisher, &sales, &stop);
        let background = CancellationToken::new();
        let over = stop.child_token();
        let readiness = connected.readiness(&sales, false, &over);
        let faces = Servers {
            settings: &settings,
            connected: &connected,
            checkout: &checkout,
            readiness: &readiness,
            stopping: &shutdown.signalled,
            stop: &stop,
        };
        let mut embedded = Vec::new();
        let servers = if let Some(data_dir) = &connected.data_dir {
            tracing::info!(
                "embedded: the whole system in this process, data in {}",
                data_dir.path().display()
            );
            let servers = faces.listen_all()?;
            embedded = start_embedded(&settings, &connected, &background);
            servers
        } else {
            faces.listen_api()?
        };
        drop(checkout);
        let started = Started::new(&settings, &servers, connected.data_dir.as_ref().map(DataDir::path));
        let reporting = connected.report(Role::Serve, readiness.clone(), &over);
        let preparing = async {
            if connected.data_dir.is_none() {
                connected.prepare(&settings, &stop).await?;
            }
            started.print_when_ready(&settings, &readiness, &stop).await;
            Ok(())
        };
        let ended = run(servers, preparing, tasks, &stop).await;
        over.cancel();
        // The servers held the last publishers: what they handed in is sent, and recorded where
        // that is done here.
        finish("the publisher and the report", join(sending, reporting)).await;
        background.cancel();
        finish("the worker and the recovery", join_all(embedded)).await;
        ended?;
        Ok(tasks.check()?)
    }
}

/// The worker and the recovery, which are processes of their own in the distributed mode.
fn start_embedded(
    settings: &Settings,
    connected: &Connected,
    background: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    debug_assert!(matches!(settings.mode, Mode::Embedded { .. }));
    let Connected { stores, telemetry, runtime, ledger_state, .. } = connected;
    let options = settings.worker.clone();
    let worker = Worker::new(stores.clone(), telemetry.clone(), options, ledger_state.clone(), runtime);
    let options = settings.recovery.clone();
    let recovery = Recovery::new(stores.clone(), telemetry.clone(), options, runtime);
    vec![
        runtime.tasks.spawn("the worker", background, worker.run(background.clone())),
        runtime.tasks.spawn("the recovery", background, recovery.run(background.clone())),
    ]
}

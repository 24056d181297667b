//! `flashsale web`

use anyhow::bail;
use clap::Args;
use futures_util::future::join;

use super::settings::{Mode, Purpose};
use super::{overrides::Overrides, process, servers::Servers, started::Started, stores};
use crate::http::run::run;
use crate::observability::registry::Role;
use crate::outbox::Publisher;
use crate::runtime::shutdown::{Shutdown, finish};

/// Serve the pages (distributed mode)
///
/// Needs DATABASE_URL, REDIS_URL and AMQP_URL, and at least one `flashsale work`; any number can
/// run side by side. In the embedded mode `flashsale serve` serves the pages itself.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale web --web-addr 0.0.0.0:3000")]
pub(super) struct Web {
    /// Where the pages are served (or FLASHSALE_WEB_ADDR) [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    web_addr: Option<String>,
    /// Where the operations console is served (or FLASHSALE_CONSOLE_ADDR) [default: 127.0.0.1:3003]
    #[arg(long, value_name = "ADDR")]
    console_addr: Option<String>,
}

impl Web {
    pub(super) async fn run(self, overrides: &Overrides, shutdown: Shutdown) -> anyhow::Result<()> {
        let own = [("web.addr", self.web_addr.as_ref()), ("console.addr", self.console_addr.as_ref())];
        let settings = overrides.settings_for(Purpose::Web, &own)?;
        if matches!(settings.mode, Mode::Embedded { .. }) {
            bail!(
                "no service is configured, so the system runs embedded: `flashsale serve` serves the pages, the \
                 API and the worker in one process. To run `web` by itself set DATABASE_URL, REDIS_URL and \
                 AMQP_URL."
            );
        }
        let stop = shutdown.after(settings.api.drain);
        let connected = stores::connect(&settings, "web", overrides.wiring).await?;
        let (publisher, task) = Publisher::new(connected.stores.broker.clone(), &connected.runtime);
        let tasks = &connected.runtime.tasks;
        let sending = tasks.spawn("the publisher", &stop, task.run());
        let sales = connected.sales();
        let checkout = process::checkout(&settings, &connected, publisher, &sales, &stop);
        let over = stop.child_token();
        let readiness = connected.readiness(&sales, false, &over);
        let servers = Servers {
            settings: &settings,
            connected: &connected,
            checkout: &checkout,
            readiness: &readiness,
            stopping: &shutdown.signalled,
            stop: &stop,
        }
        .listen_pages()?;
        drop(checkout);
        let started = Started::new(&settings, &servers, None);
        let reporting = connected.report(Role::Web, readiness.clone(), &over);
        let preparing = async {
            connected.identify(&settings, &stop).await?;
            started.print_when_ready(&settings, &readiness, &stop).await;
            Ok(())
        };
        let ended = run(servers, preparing, tasks, &stop).await;
        over.cancel();
        finish("the publisher and the report", join(sending, reporting)).await;
        ended?;
        Ok(tasks.check()?)
    }
}

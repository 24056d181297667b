//! `flashsale topology`

use anyhow::bail;
use clap::Args;

use super::settings::Mode;
use super::{
    ledger::{identify, open_ledger},
    overrides::Overrides,
};
use crate::broker::RabbitMq;
use crate::runtime::output;

/// Declare the exchanges and queues in RabbitMQ, and exit (distributed mode)
///
/// A process whose user may declare them does so by itself where they are missing. This command is
/// for deployments in which `serve` and `web` have no such permission: run it once, after
/// `flashsale migrate`, as a user who has. What is there already stays as it is; repeating the
/// command changes nothing. `work` declares and binds in any case, because its leader fences by
/// bindings. docs/OPERATIONS.md lists what each role needs. Needs DATABASE_URL, REDIS_URL and
/// AMQP_URL, and connects to the first and the last.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  AMQP_URL=amqp://flashsale_work:password@rabbit flashsale topology")]
pub(super) struct DeclareTopology {}

impl DeclareTopology {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let settings = overrides.settings()?;
        let Mode::Distributed(services) = &settings.mode else {
            bail!("the embedded mode has no queues: set DATABASE_URL, REDIS_URL and AMQP_URL");
        };
        let ledger = open_ledger(&settings, "topology").await?;
        let system = identify(&*ledger, &settings).await?;
        RabbitMq::declare(&services.rabbit, system).await?;
        let topology = &services.rabbit.topology;
        output::print(format_args!(
            "declared: the exchange {}, and the queues {} and {}",
            topology.purchases, topology.purchases, topology.dead
        ))
        .await;
        Ok(())
    }
}

//! What an operator's command acts on, and as whom.

use anyhow::Context;
use clap::Args;

use crate::domain::ProductId;
use crate::ledger::Ledger;
use crate::operations::Actor;

#[derive(Debug, Args)]
pub(super) struct ProductFlag {
    /// The product; without it, the first one
    #[arg(long, value_name = "ID")]
    product: Option<String>,
}

impl ProductFlag {
    pub(super) async fn product(&self, ledger: &dyn Ledger) -> anyhow::Result<ProductId> {
        if let Some(id) = &self.product {
            return Ok(ProductId::parse(id)?);
        }
        let first = ledger.products().await?.into_iter().next();
        first.map(|product| product.id).context("the ledger has no product")
    }
}

/// The operating-system user.
pub(super) fn actor() -> Actor {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    Actor::named(name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw())))
}

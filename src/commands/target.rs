//! What an operator's command acts on, and as whom.

use anyhow::Context;
use clap::Args;

use super::settings::Settings;
use crate::domain::ProductId;
use crate::operations::Actor;

#[derive(Debug, Args)]
pub(super) struct ProductFlag {
    /// The product; without it, the first of the catalogue
    #[arg(long, value_name = "ID")]
    product: Option<String>,
}

impl ProductFlag {
    pub(super) fn product(&self, settings: &Settings) -> anyhow::Result<ProductId> {
        match &self.product {
            Some(id) => Ok(ProductId::parse(id)?),
            None => settings.catalogue.first().map(|product| product.id.clone()).context("no product"),
        }
    }
}

/// The operating-system user.
pub(super) fn actor() -> Actor {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    Actor::named(name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw())))
}

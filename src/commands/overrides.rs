//! Settings of the command line that every command takes.

use std::path::PathBuf;

use clap::Args;

use super::{
    settings::{Purpose, Settings},
    wiring::Wiring,
};
use crate::config::{FILE_VARIABLE, Layers};

/// Settings that every command takes. They win over the environment, which wins over the file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Overrides {
    /// Configuration file (or FLASHSALE_CONFIG); only the keys that differ from config/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Catalogue file (or FLASHSALE_PRODUCTS), whose new products are added at start; without it,
    /// the products of the database. Where that has none, the embedded mode sells a demo product,
    /// and `serve` and `work` of the distributed mode do not start
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) products: Option<String>,
    /// First part of Redis keys and queue names (or FLASHSALE_PREFIX) [default: flashsale]
    #[arg(long, global = true)]
    pub(super) prefix: Option<String>,
    /// Where the embedded mode keeps its database (or FLASHSALE_DATA_DIR) [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<String>,
    /// Any key of config/default.toml, such as broker.confirm_timeout_ms=500; can be repeated, in
    /// one place
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(super) set: Vec<(String, String)>,
    #[arg(skip)]
    pub(super) wiring: Wiring,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Overrides {
    /// Reads the settings for a command on what there is.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        self.settings_for(Purpose::Command, &[])
    }

    /// Reads the settings, with the command's own flags on top.
    pub(super) fn settings_for(
        &self,
        purpose: Purpose,
        own: &[(&str, Option<&String>)],
    ) -> anyhow::Result<Settings> {
        let named = [
            ("products", self.products.as_ref()),
            ("prefix", self.prefix.as_ref()),
            ("data_dir", self.data_dir.as_ref()),
        ];
        let flags = named.iter().chain(own);
        let flags = flags.filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.clone())));
        let flags: Vec<_> = self.set.iter().cloned().chain(flags).collect();
        let variable = || Some(PathBuf::from(std::env::var(FILE_VARIABLE).ok()?.trim()));
        let file = self.config.clone().or_else(variable).filter(|path| !path.as_os_str().is_empty());
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())));
        let layers = Layers::read(file.as_deref(), variables, &flags)?;
        let settings = Settings::load(layers, purpose)?;
        crate::observability::start_log(&settings.log)?;
        for variable in &settings.unknown_variables {
            tracing::warn!("{variable}");
        }
        Ok(settings)
    }
}

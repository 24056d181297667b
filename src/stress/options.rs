//! What a run is asked for.

use std::path::PathBuf;

use url::Url;

use super::{ConsoleAccess, NoConsole, Scenario};

#[derive(Debug)]
pub struct Options {
    pub scenario: Scenario,
    pub api: Url,
    /// The shop's pages.
    pub web: Url,
    pub console: Result<ConsoleAccess, NoConsole>,
    /// `None`: the first of the catalogue.
    pub product: Option<String>,
    pub users_prefix: String,
    pub report: Option<PathBuf>,
    pub json: Option<PathBuf>,
    pub history: Option<PathBuf>,
    pub goose_report: Option<PathBuf>,
    /// The command line, for the report.
    pub command: String,
}

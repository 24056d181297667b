//! Reads what an operator can set, from all layers. Each section is a struct beside its user, which
//! reads its keys from the [`Reader`]; this module knows no section.

mod catalogue;
mod layers;
mod reader;
mod service_url;

pub use catalogue::{CatalogueFile, CatalogueSource, CheckPicture, read_catalogue};
pub use layers::{FILE_VARIABLE, Layers, Origin, UnknownVariable, variable_of};
pub use reader::Reader;
pub use service_url::ServiceUrl;

/// Every error of the configuration, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} error{}:\n  - {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("\n  - "))]
pub struct ConfigError(pub Vec<String>);

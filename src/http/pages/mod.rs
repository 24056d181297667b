//! What the pages of the shop and of the operations console are made with: rendering, error pages,
//! the look and the addresses of a shop, compiled-in assets and texts.

mod asset;
pub(crate) mod assets;
pub(crate) mod errors;
mod files;
mod media;
mod numbers;
mod picture_file;
mod picture_type;
mod public_url;
mod render;
mod routes;
mod site;
mod text;
mod theme;

pub(crate) use files::url as asset_url;
pub(crate) use numbers::Numbers;
pub use public_url::PublicUrl;
pub(crate) use render::{render, see_other, wants_json};
pub(crate) use routes::page_routes;
pub use site::{Link, NamedPictures, Site};
pub(crate) use text::{Moment, phase_key, phase_text, rfc3339};

//! What the pages of the shop and of the operations console are made with: rendering, error pages,
//! compiled-in assets, texts and the flash message.

pub(crate) mod assets;
pub(crate) mod errors;
mod notice;
mod render;
mod routes;
mod text;

pub(crate) use assets::url as asset_url;
pub(crate) use notice::Notice;
pub(crate) use render::{render, see_other, wants_json};
pub(crate) use routes::page_routes;
pub(crate) use text::{grouped, phase_key, phase_text, rfc3339};

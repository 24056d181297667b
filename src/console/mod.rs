//! The whole system at a glance, for the evening of a drop.
//!
//! Every process posts a [`Report`] of itself on a [`Noticeboard`], once a second ([`Reporter`]). Where the operations console is
//! served, a [`ControlRoom`] reads all reports, looks at the stores, checks that the units of each sale add up
//! ([`Conservation`]), and keeps the last minutes: that is the [`Snapshot`].

mod history;
mod merge;
pub(crate) mod pages;
mod room;
mod sales;
mod snapshot;
mod verdict;

pub use history::{History, Point};
pub use room::ControlRoom;
pub use snapshot::{
    DependencyView, EventView, Outage, Percentiles, ProcessView, ProductView, Rates, Snapshot, Totals,
};

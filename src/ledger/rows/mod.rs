//! Rows of both databases, and the domain's values that they become.

mod change;
mod classify;
mod offer;
mod product;
mod purchase;
mod value;

pub(super) use change::{ChangeRow, DiscardRow, PseudonymRow};
pub(super) use classify::{ClassifyRow, verdicts};
pub(super) use offer::read_offers;
pub(super) use product::{SaleRow, bind_product, read_products};
pub(super) use purchase::{CountsRow, EarlierRow, PurchaseRow, RECORDED_COLUMNS, RecordedRow};
pub(super) use purchase::{RevokedRow, TakenBackRow};
pub(super) use value::{BoolRow, CountRow, IdRow, NameRow, NumberRow, StockRow, UnitRow};

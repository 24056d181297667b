//! Rows of one column.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Nullable, Text},
};

use crate::domain::PurchaseId;
use crate::ledger::columns::{Counter, Id, Number};

#[derive(QueryableByName)]
pub(in crate::ledger) struct BoolRow {
    #[diesel(sql_type = Bool)]
    pub(in crate::ledger) yes: bool,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct CountRow {
    #[diesel(sql_type = BigInt)]
    pub(in crate::ledger) count: i64,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct IdRow {
    #[diesel(sql_type = Id)]
    pub(in crate::ledger) id: PurchaseId,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct NameRow {
    #[diesel(sql_type = Text)]
    pub(in crate::ledger) name: String,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct NumberRow {
    #[diesel(sql_type = Counter)]
    pub(in crate::ledger) number: u64,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct StockRow {
    #[diesel(sql_type = Nullable<Number>)]
    pub(in crate::ledger) lower_stock_to: Option<u32>,
}

#[derive(QueryableByName)]
pub(in crate::ledger) struct UnitRow {
    #[diesel(sql_type = Number)]
    pub(in crate::ledger) unit: u32,
}

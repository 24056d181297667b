//! What stands in the way of purchases that were not inserted, as `classify.sql` tells it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{Bool, Nullable},
};

use crate::domain::{Entry, LedgerVerdict, Obstacles, PurchaseId, UsersPurchase};
use crate::ledger::{
    LedgerError,
    columns::{Counter, Id, Number, Timestamp},
};

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "they are columns")]
pub(in crate::ledger) struct ClassifyRow {
    #[diesel(sql_type = Id)]
    id: PurchaseId,
    #[diesel(sql_type = Nullable<Number>)]
    total_stock: Option<u32>,
    #[diesel(sql_type = Nullable<Counter>)]
    epoch: Option<u64>,
    #[diesel(sql_type = Bool)]
    revoked: bool,
    #[diesel(sql_type = Bool)]
    recorded: bool,
    #[diesel(sql_type = Bool)]
    right_used: bool,
    #[diesel(sql_type = Nullable<Id>)]
    mine_id: Option<PurchaseId>,
    #[diesel(sql_type = Nullable<Number>)]
    mine_unit: Option<u32>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    mine_admitted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    taken: bool,
}

impl From<ClassifyRow> for Obstacles {
    fn from(row: ClassifyRow) -> Self {
        let mine = match (row.mine_id, row.mine_unit, row.mine_admitted_at) {
            (Some(id), Some(unit), Some(at)) => UsersPurchase::Counts(id, unit, at),
            _ if row.right_used => UsersPurchase::Cancelled,
            _ => UsersPurchase::None,
        };
        Self {
            total_stock: row.total_stock,
            revoked: row.revoked,
            recorded: row.recorded,
            mine,
            unit_taken: row.taken,
            epoch: row.epoch.unwrap_or(0),
        }
    }
}

/// The verdicts on a batch, of which some purchases were inserted and the others were classified.
pub(in crate::ledger) fn verdicts(
    batch: &[Entry],
    inserted: &HashSet<PurchaseId>,
    classified: Vec<ClassifyRow>,
) -> Result<Vec<LedgerVerdict>, LedgerError> {
    let obstacles: HashMap<_, Obstacles> = classified.into_iter().map(|row| (row.id, row.into())).collect();
    let verdict = |item: &Entry| match obstacles.get(&item.purchase.id) {
        _ if inserted.contains(&item.purchase.id) => Ok(LedgerVerdict::Recorded),
        Some(obstacles) => Ok(obstacles.clone().verdict(item)),
        None => Err(LedgerError::Corrupt("a purchase was not classified".into())),
    };
    batch.iter().map(verdict).collect()
}

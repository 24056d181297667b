//! A batch of purchases becomes rows, in one transaction: inserted where nothing is in the way, and
//! a verdict on each.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;

use super::{
    PostgresLedger, leader,
    rows::{ClassifyRow, IdRow},
};
use crate::domain::{Entry, LedgerVerdict, PurchaseId};
use crate::ledger::{LedgerError, Writer, column};
use crate::runtime::crash_points::crash_point;

impl PostgresLedger {
    pub(super) async fn record_batch(
        &self,
        batch: Vec<Entry>,
        writer: Writer,
    ) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.transaction("record", move |connection| {
            async move {
                if writer == Writer::Worker && !leader::share_workers_lock(connection).await? {
                    return Err(LedgerError::RebuildUnderWay);
                }
                share_products(connection, &batch, writer).await?;
                let inserted = insert(connection, &batch).await?;
                crash_point!("worker-in-transaction");
                if inserted.len() == batch.len() {
                    return Ok(vec![LedgerVerdict::Recorded; batch.len()]);
                }
                let left: Vec<_> =
                    batch.iter().filter(|item| !inserted.contains(&item.purchase.id)).collect();
                let obstacles = classify(connection, &left).await?;
                let verdict = |item: &Entry| match obstacles.get(&item.purchase.id) {
                    Some(row) => row.obstacles().verdict(item),
                    None => LedgerVerdict::Recorded,
                };
                Ok(batch.iter().map(verdict).collect())
            }
            .boxed()
        })
        .await
    }
}

/// Keeps the products of a batch as they are until the transaction ends: neither is their stock
/// lowered meanwhile, nor one of these purchases revoked. In one order, so that no transactions
/// wait in a circle. A rebuild, which no lock keeps from going on after it has lost the lead, keeps
/// their epochs as they are, too: either another rebuild has begun before, and this one's epoch is
/// too old, or the other one waits for it.
async fn share_products(
    connection: &mut AsyncPgConnection,
    batch: &[Entry],
    writer: Writer,
) -> Result<(), LedgerError> {
    let ids: BTreeSet<_> = batch.iter().map(|item| item.purchase.product.as_str()).collect();
    let lock = match writer {
        Writer::Worker => "FOR KEY SHARE",
        Writer::Rebuild => "FOR SHARE",
    };
    sql_query(format!("SELECT FROM products WHERE id = ANY($1) ORDER BY id {lock}"))
        .bind::<sql_types::Array<sql_types::Text>, _>(ids.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// The columns of a batch, as `unnest` takes them.
macro_rules! bind_columns {
    ($query:expr, $batch:expr) => {{
        let purchases = || $batch.iter().map(|item| &item.purchase);
        $query
            .bind::<sql_types::Array<sql_types::Uuid>, _>(purchases().map(|one| one.id.0).collect::<Vec<_>>())
            .bind::<sql_types::Array<sql_types::Text>, _>(
                purchases().map(|one| one.product.as_str()).collect::<Vec<_>>(),
            )
            .bind::<sql_types::Array<sql_types::Text>, _>(
                purchases().map(|one| one.user.as_str()).collect::<Vec<_>>(),
            )
            .bind::<sql_types::Array<sql_types::Integer>, _>(
                purchases().map(|one| column(one.unit)).collect::<Vec<_>>(),
            )
    }};
}

async fn insert(
    connection: &mut AsyncPgConnection,
    batch: &[Entry],
) -> Result<HashSet<PurchaseId>, LedgerError> {
    let times: Vec<_> = batch.iter().map(|item| item.purchase.admitted_at).collect();
    let epochs: Vec<_> = batch.iter().map(|item| i64::try_from(item.epoch).unwrap_or(i64::MAX)).collect();
    let rows: Vec<IdRow> = bind_columns!(sql_query(include_str!("record.sql")), batch)
        .bind::<sql_types::Array<sql_types::Timestamptz>, _>(times)
        .bind::<sql_types::Array<sql_types::BigInt>, _>(epochs)
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| PurchaseId(row.id)).collect())
}

async fn classify(
    connection: &mut AsyncPgConnection,
    left: &[&Entry],
) -> Result<HashMap<PurchaseId, ClassifyRow>, LedgerError> {
    let rows: Vec<ClassifyRow> =
        bind_columns!(sql_query(include_str!("classify.sql")), left).load(connection).await?;
    Ok(rows.into_iter().map(|row| (PurchaseId(row.id), row)).collect())
}

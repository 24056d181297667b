//! Settles what the ledger could not accept. This happens only after Redis lost data and the same unit, or a
//! unit for the same user, was given out twice: the first commit stands.

use super::{Stores, batch::BatchItem, batch::StepError};
use crate::admission::Reassignment;
use crate::domain::{OutboxEntry, Purchase};
use crate::ledger::{LedgerError, Verdict, Writer};

/// Reassignments of one purchase in a row before it is left to a later sweep. Each can lose its unit only to a
/// purchase that committed meanwhile.
const REASSIGNMENTS_MAX: usize = 10;

/// The user has another purchase in the ledger: that one stands, this one's unit returns to free, once.
pub(super) async fn supersede(stores: &Stores, item: &BatchItem, stands: &Purchase) -> Result<(), StepError> {
    let withdrawn = item.item.entry(item.epoch);
    let reason = format!("You already have unit {} (purchase {}).", stands.unit, stands.id);
    record_revocation(stores, &withdrawn.purchase, &reason).await?;
    Ok(stores.gate.supersede(&withdrawn, stands).await?)
}

/// The unit is someone else's in the ledger: the purchase gets the lowest free unit, or is revoked.
pub(super) async fn unit_taken(stores: &Stores, item: &BatchItem, writer: Writer) -> Result<(), StepError> {
    match writer {
        Writer::Worker => move_in_gate(stores, item).await,
        Writer::Rebuild => move_in_ledger(stores, item).await,
    }
}

/// While selling, admission hands out the other unit, so that nobody else gets it.
async fn move_in_gate(stores: &Stores, item: &BatchItem) -> Result<(), StepError> {
    let mut entry = item.item.entry(item.epoch);
    for _ in 0..REASSIGNMENTS_MAX {
        match stores.gate.reassign(&entry.purchase).await? {
            Reassignment::Moved(moved) => entry = moved,
            Reassignment::Other(other) => return supersede_unrecorded(stores, &entry, &other).await,
            Reassignment::NoUnitLeft => return revoke(stores, &entry).await,
        }
        let verdicts = stores.ledger.persist(vec![entry.purchase.clone()], Writer::Worker).await?;
        match verdicts.into_iter().next() {
            Some(Verdict::UnitTaken) => {}
            Some(Verdict::UserHasOther(stands)) => {
                let reason = format!("You already have unit {} (purchase {}).", stands.unit, stands.id);
                record_revocation(stores, &entry.purchase, &reason).await?;
                return Ok(stores.gate.supersede(&entry, &stands).await?);
            }
            _ => {
                tracing::warn!(purchase = %entry.purchase.id, unit = entry.purchase.unit, "given another unit");
                return settle(stores, &entry).await;
            }
        }
    }
    // It is in the outbox under its latest unit.
    Ok(())
}

/// During a rebuild admission is closed, and its new state will be made from the ledger: the lowest unit that the
/// ledger has free is as good.
async fn move_in_ledger(stores: &Stores, item: &BatchItem) -> Result<(), StepError> {
    let mut entry = item.item.entry(item.epoch);
    loop {
        match lowest_free_unit(stores, &entry.purchase).await? {
            None => return revoke(stores, &entry).await,
            Some(unit) => entry.purchase.unit = unit,
        }
        let verdicts = stores.ledger.persist(vec![entry.purchase.clone()], Writer::Rebuild).await?;
        // Nobody else writes during a rebuild, so the loop ends at the first turn; it is here for the proof.
        if !matches!(verdicts.first(), Some(Verdict::UnitTaken)) {
            tracing::warn!(purchase = %entry.purchase.id, unit = entry.purchase.unit, "given another unit");
            return Ok(());
        }
    }
}

/// The lowest unit without a row, if any is left.
async fn lowest_free_unit(stores: &Stores, purchase: &Purchase) -> Result<Option<u32>, LedgerError> {
    const PAGE: u32 = 10_000;
    let sales = stores.ledger.sales().await?;
    let sale = sales.into_iter().find(|sale| sale.product == purchase.product);
    let total_stock = sale.map_or(0, |sale| sale.terms.total_stock);
    let mut last = 0;
    loop {
        let page = stores.ledger.purchases(&purchase.product, last, PAGE).await?;
        for row in &page {
            if row.unit != last + 1 {
                return Ok(Some(last + 1));
            }
            last = row.unit;
        }
        if page.is_empty() {
            return Ok((last < total_stock).then_some(last + 1));
        }
    }
}

/// The user has a later admission that is not in the ledger yet: it stands.
async fn supersede_unrecorded(
    stores: &Stores,
    entry: &OutboxEntry,
    other: &OutboxEntry,
) -> Result<(), StepError> {
    let reason = format!("You already have unit {} (purchase {}).", other.purchase.unit, other.purchase.id);
    Ok(record_revocation(stores, &entry.purchase, &reason).await?)
}

async fn revoke(stores: &Stores, entry: &OutboxEntry) -> Result<(), StepError> {
    let reason = "Stored data was lost, and when it was restored no unit was left for this purchase.";
    record_revocation(stores, &entry.purchase, reason).await?;
    Ok(stores.gate.revoke(entry).await?)
}

async fn record_revocation(stores: &Stores, purchase: &Purchase, reason: &str) -> Result<(), LedgerError> {
    if stores.ledger.revoke(purchase, reason).await? {
        tracing::warn!(purchase = %purchase.id, user = %purchase.user, "revoked: {reason}");
    }
    Ok(())
}

async fn settle(stores: &Stores, entry: &OutboxEntry) -> Result<(), StepError> {
    let key = crate::admission::EntryKey {
        millis: entry.id.millis,
        sequence: Some(entry.id.sequence),
        purchase: entry.purchase.id,
    };
    Ok(stores.gate.settle(&entry.purchase.product, entry.epoch, &[key]).await?)
}

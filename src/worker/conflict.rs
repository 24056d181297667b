//! Settles what the ledger could not accept. This happens only after Redis lost data, and the same unit, or a
//! unit for the same user, was given out twice: the first commit stands.

use super::{Mode, StepError, Stores};
use crate::admission::{Reassignment, WithdrawnUnit};
use crate::broker::{DeadReason, DeadReasonClass, Message};
use crate::domain::{OutboxEntry, Purchase};
use crate::ledger::{Admitted, LedgerError, Verdict};

/// Moves of one purchase in a row. Each can lose its unit only to a purchase that committed meanwhile.
const MOVES_MAX: usize = 10;

/// What became of a purchase, after everything that had to be done about it.
pub(super) enum Settled {
    /// It is in the ledger, as this entry: if it was moved, under another unit than it came with.
    Recorded(OutboxEntry),
    /// It was taken back, and its outbox entry with it; the user was told, or has another purchase.
    Withdrawn,
    /// It is in the queue again, until admission is open.
    Deferred,
    /// It can never be recorded.
    Dead(DeadReason),
}

/// Does what a verdict asks for, until the purchase is in the ledger, taken back, or found hopeless.
pub(super) async fn settle(
    stores: &Stores,
    mut entry: OutboxEntry,
    mut verdict: Verdict,
    mode: &Mode,
) -> Result<Settled, StepError> {
    for _ in 0..MOVES_MAX {
        let may_keep = match verdict {
            Verdict::Recorded | Verdict::RecordedBefore => return Ok(Settled::Recorded(entry)),
            Verdict::Revoked { stands, unit_taken } => {
                return withdraw(stores, &entry.purchase, stands.as_ref(), unit_taken).await;
            }
            Verdict::UserHasOther { stands, unit_taken } => {
                revoke(stores, &entry.purchase, &has_other(&stands)).await?;
                return withdraw(stores, &entry.purchase, Some(&stands), unit_taken).await;
            }
            Verdict::UnknownProduct => {
                let detail = format!("there is no product {}", entry.purchase.product);
                return Ok(dead(DeadReasonClass::UnknownProduct, detail));
            }
            Verdict::UnitOutOfRange { total_stock } => {
                let detail =
                    format!("unit {} is above the total stock of {total_stock}", entry.purchase.unit);
                return Ok(dead(DeadReasonClass::UnitOutOfRange, detail));
            }
            Verdict::IdTaken => {
                let detail = "another purchase has the same id".to_owned();
                return Ok(dead(DeadReasonClass::Refused, detail));
            }
            Verdict::UnitTaken => false,
            Verdict::OldEpoch => true,
        };
        if mode.is_stopped(&entry.purchase.product) {
            return defer(stores, &entry).await;
        }
        if let Some(owner) = owner_of_unit(stores, &entry.purchase).await? {
            stores.gate.adopt(&owner).await?;
        }
        entry = match stores.gate.reassign(&entry.purchase, may_keep).await? {
            Reassignment::Moved(moved) => {
                tracing::warn!(purchase = %moved.purchase.id, unit = moved.purchase.unit, "given a unit anew");
                moved
            }
            // The user has a later admission that is not in the ledger yet: it stands.
            Reassignment::Other(other) => {
                revoke(stores, &entry.purchase, &has_other(&other.purchase)).await?;
                return Ok(Settled::Withdrawn);
            }
            Reassignment::NoUnitLeft => {
                let reason =
                    "Stored data was lost, and when it was restored no unit was left for this purchase.";
                if revoke(stores, &entry.purchase, reason).await? {
                    return withdraw(stores, &entry.purchase, None, true).await;
                }
                entry
            }
        };
        verdict = match persist_one(stores, &entry, mode).await {
            Err(LedgerError::Refused(why)) => return Ok(dead(DeadReasonClass::Refused, why)),
            verdict => verdict?,
        };
    }
    Err(StepError::KeepsLosing(entry.purchase.id))
}

fn dead(class: DeadReasonClass, detail: String) -> Settled {
    Settled::Dead(DeadReason { class, detail })
}

fn has_other(stands: &Purchase) -> String {
    format!("You already have unit {} (purchase {}).", stands.unit, stands.id)
}

async fn persist_one(stores: &Stores, entry: &OutboxEntry, mode: &Mode) -> Result<Verdict, LedgerError> {
    let epoch = mode.epoch_of(&entry.purchase.product, entry.epoch);
    let one = vec![Admitted { epoch, purchase: entry.purchase.clone() }];
    let verdicts = stores.ledger.persist(one, mode.writer()).await?;
    verdicts.into_iter().next().ok_or(LedgerError::Corrupt("no verdict"))
}

/// While admission is stopped there is nobody to hand out another unit, and what is still on its way comes first. The
/// workers settle it once the sale is open again.
async fn defer(stores: &Stores, entry: &OutboxEntry) -> Result<Settled, StepError> {
    let message = Message::group([entry.clone()]);
    for message in message {
        stores.broker.publish(&message).await?;
    }
    Ok(Settled::Deferred)
}

/// Who has the purchase's unit in the ledger.
async fn owner_of_unit(stores: &Stores, purchase: &Purchase) -> Result<Option<Purchase>, LedgerError> {
    let row = stores.ledger.purchases(&purchase.product, purchase.unit.saturating_sub(1), 1).await?;
    Ok(row.into_iter().find(|row| row.unit == purchase.unit))
}

/// Takes the admission back in Redis, whatever of it is left there.
async fn withdraw(
    stores: &Stores,
    purchase: &Purchase,
    stands: Option<&Purchase>,
    unit_taken: bool,
) -> Result<Settled, StepError> {
    let unit = if unit_taken { WithdrawnUnit::BelongsToOther } else { WithdrawnUnit::Returns };
    stores.gate.withdraw(purchase, stands, unit).await?;
    Ok(Settled::Withdrawn)
}

/// Records why a purchase is taken back. False: it is in the ledger by now, and stays. Repeating it is safe.
async fn revoke(stores: &Stores, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
    let revoked = stores.ledger.revoke(purchase, reason).await?;
    if revoked {
        tracing::warn!(purchase = %purchase.id, user = %purchase.user, "revoked: {reason}");
    }
    Ok(revoked)
}

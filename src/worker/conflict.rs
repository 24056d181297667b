//! Settles what the ledger could not accept. Conflicts arise only after admission lost data, when
//! the same unit, or a unit for the same user, was given out twice: the first commit stands.

use super::{Rebuilding, Recorder, StepError};
use crate::admission::{Reassignment, WithdrawnUnit};
use crate::broker::{DeadReason, DeadReasonClass};
use crate::domain::{Entry, LedgerVerdict, Purchase};
use crate::ledger::LedgerError;
use crate::runtime::error_chain;
use crate::stores::Stores;

/// Moves of one purchase in a row. Each can lose its unit only to a
/// purchase that committed meanwhile.
const MOVES_MAX: usize = 10;

/// A reason for the buyer.
pub const NO_UNIT_LEFT: &str =
    "Stored data was lost, and when it was restored no unit was left for this purchase.";

/// A reason for the buyer.
const RIGHT_USED: &str = "Your purchase of this product was cancelled, and only one is possible.";

/// What became of a purchase whose conflict is settled.
pub(super) enum Settled {
    /// The purchase is in the ledger, as this entry: if it was moved, under another unit
    /// than it came with.
    Recorded(Entry),
    /// The purchase was taken back, and its outbox entry with it; it is revoked, or the
    /// user has another purchase.
    Withdrawn,
    /// The purchase is in the queue again, until admission is open.
    Deferred,
    /// The purchase can never be recorded; the entry is the one that admission has of it.
    Dead(Entry, DeadReason),
}

/// Does what a verdict asks for, until the purchase is in the ledger, taken
/// back, or found hopeless.
pub(super) async fn settle(
    recorder: &Recorder,
    mut entry: Entry,
    mut verdict: LedgerVerdict,
) -> Result<Settled, StepError> {
    let Recorder { stores, mode, .. } = recorder;
    for _ in 0..MOVES_MAX {
        let may_keep = match verdict {
            LedgerVerdict::Recorded | LedgerVerdict::RecordedBefore => return Ok(Settled::Recorded(entry)),
            LedgerVerdict::Revoked { stands, unit_taken } => {
                return withdraw(stores, &entry.purchase, stands.as_ref(), unit_taken).await;
            }
            LedgerVerdict::UserHasOther { stands, unit_taken } => {
                recorder.revoke(&entry.purchase, &has_other(&stands)).await?;
                return withdraw(stores, &entry.purchase, Some(&stands), unit_taken).await;
            }
            LedgerVerdict::RightUsed { unit_taken } => {
                recorder.revoke(&entry.purchase, RIGHT_USED).await?;
                return withdraw(stores, &entry.purchase, None, unit_taken).await;
            }
            LedgerVerdict::UnknownProduct => {
                let detail = format!("there is no product {}", entry.purchase.product);
                return Ok(dead(entry, DeadReasonClass::UnknownProduct, detail));
            }
            LedgerVerdict::UnitOutOfRange { total_stock } => {
                let detail =
                    format!("unit {} is above the total stock of {total_stock}", entry.purchase.unit);
                return Ok(dead(entry, DeadReasonClass::UnitOutOfRange, detail));
            }
            LedgerVerdict::IdTaken => {
                let detail = "another purchase has the same id".to_owned();
                return Ok(dead(entry, DeadReasonClass::Refused, detail));
            }
            LedgerVerdict::UnitTaken => false,
            LedgerVerdict::OldEpoch => true,
        };
        if let Some(rebuilding) = mode.rebuilding(&entry.purchase.product) {
            return defer(stores, rebuilding, &entry).await;
        }
        if let Some(owner) = stores.ledger.owner_of(&entry.purchase.product, entry.purchase.unit).await? {
            stores.admission.adopt(&owner).await?;
        }
        entry = match stores.admission.reassign(&entry.purchase, may_keep).await? {
            Reassignment::Moved(moved) => {
                tracing::warn!(purchase = %moved.purchase.id, unit = moved.purchase.unit, "given a unit anew");
                moved
            }
            // The user has a later admission that is not in the ledger yet: it stands.
            Reassignment::Other(other) => {
                recorder.revoke(&entry.purchase, &has_other(&other.purchase)).await?;
                return Ok(Settled::Withdrawn);
            }
            Reassignment::NoUnitLeft => {
                if recorder.revoke(&entry.purchase, NO_UNIT_LEFT).await? {
                    return withdraw(stores, &entry.purchase, None, true).await;
                }
                entry
            }
        };
        verdict = match record_one(recorder, &entry).await {
            Err(LedgerError::Refused(why)) => {
                return Ok(dead(entry, DeadReasonClass::Refused, error_chain(&*why)));
            }
            verdict => verdict?,
        };
    }
    Err(StepError::KeepsLosing(entry.purchase.id))
}

pub(super) fn dead(entry: Entry, class: DeadReasonClass, detail: String) -> Settled {
    Settled::Dead(entry, DeadReason { class, detail })
}

pub fn has_other(stands: &Purchase) -> String {
    match stands.unit {
        // It was cancelled, or made elsewhere.
        0 => format!("Your one purchase of this product was made before (purchase {}).", stands.id),
        unit => format!("You already have unit {unit} (purchase {}).", stands.id),
    }
}

async fn record_one(recorder: &Recorder, entry: &Entry) -> Result<LedgerVerdict, LedgerError> {
    let Recorder { stores, mode, .. } = recorder;
    let verdicts = stores.ledger.record(&[mode.entry(entry)], mode.writer()).await?;
    verdicts.into_iter().next().ok_or_else(|| LedgerError::Corrupt("no verdict".into()))
}

/// Publishes the purchase again. While admission is stopped it can hand out no other unit, and what
/// is still on its way comes first; the workers settle the conflict once the sale is open again.
async fn defer(stores: &Stores, rebuilding: &Rebuilding, entry: &Entry) -> Result<Settled, StepError> {
    if !rebuilding.is_deferred(entry.purchase.id) {
        stores.broker.publish_unfenced(std::slice::from_ref(entry)).await?;
        rebuilding.note_deferred(entry.purchase.id);
    }
    Ok(Settled::Deferred)
}

/// Takes the admission back, as far as it is left.
async fn withdraw(
    stores: &Stores,
    purchase: &Purchase,
    stands: Option<&Purchase>,
    unit_taken: bool,
) -> Result<Settled, StepError> {
    let unit = if unit_taken { WithdrawnUnit::BelongsToOther } else { WithdrawnUnit::Returns };
    stores.admission.withdraw(purchase, stands, unit).await?;
    Ok(Settled::Withdrawn)
}

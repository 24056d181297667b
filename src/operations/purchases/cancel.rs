//! Taking a recorded purchase back: a refund, or fraud.

use super::PurchaseError;
use crate::domain::{Cancellation, PurchaseId};
use crate::ledger::{Cancelled, Ledger};
use crate::operations::Actor;

const REASON_CHARS_MAX: usize = 500;

/// Cancels a purchase. The row stays, with the reason, which its buyer sees. Without `keeps_unit`
/// the unit is sold again; without `may_buy_again` the buyer's one purchase is used up. Repeating
/// it changes nothing: the first decision stands.
pub async fn cancel(
    actor: &Actor,
    ledger: &dyn Ledger,
    id: PurchaseId,
    reason: &str,
    keeps_unit: bool,
    may_buy_again: bool,
) -> Result<Cancelled, PurchaseError> {
    let reason = reason.trim();
    let is_line = !reason.is_empty() && !reason.chars().any(char::is_control);
    if !is_line || reason.chars().count() > REASON_CHARS_MAX {
        return Err(PurchaseError::BadReason(REASON_CHARS_MAX));
    }
    let (by, reason) = (actor.name().to_owned(), reason.to_owned());
    let cancellation = Cancellation { by, reason, keeps_unit, may_buy_again };
    let cancelled = ledger.cancel(id, &cancellation).await?.ok_or(PurchaseError::Unknown(id))?;
    if cancelled.is_new {
        actor.has_changed(&format!("purchase cancelled: {}", cancellation.reason), &id.to_string());
    }
    Ok(cancelled)
}

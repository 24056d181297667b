//! Giving up a dead letter: its units return to stock, its buyers see the reason, and the ledger
//! keeps a record.

use super::{DeadLetterError, Found, while_held};
use crate::admission::WithdrawnUnit;
use crate::broker::DeadLetter;
use crate::domain::{ProductId, Purchase};
use crate::ledger::Discard;
use crate::operations::Actor;
use crate::stores::Stores;

/// Discards the dead letter whose id begins with `id`, and returns it. The letter leaves the queue
/// last, so that an operation that was interrupted can be repeated.
pub async fn discard(
    actor: &Actor,
    stores: &Stores,
    id: &str,
    reason: &str,
) -> Result<DeadLetter, DeadLetterError> {
    if reason.trim().is_empty() {
        return Err(DeadLetterError::NoReason);
    }
    while_held(&*stores.broker, async |held| {
        let found = Found::by(held, id).await?;
        give_up(actor, stores, &found.letter, reason).await?;
        actor.has_changed(&format!("dead letter discarded: {reason}"), &found.letter.id);
        held.remove(found.letter.position).await?;
        found.remove_copies(held).await?;
        Ok(found.letter)
    })
    .await
}

async fn give_up(
    actor: &Actor,
    stores: &Stores,
    letter: &DeadLetter,
    reason: &str,
) -> Result<(), DeadLetterError> {
    let record = |purchase: Option<&Purchase>| Discard {
        letter_id: letter.id.clone(),
        purchase: purchase.map(|purchase| purchase.id),
        body: letter.body.clone(),
        letter_reason: letter.reason.clone(),
        discarded_by: actor.name().to_owned(),
        reason: reason.to_owned(),
    };
    if letter.entries.is_empty() {
        stores.ledger.record_discard(record(None)).await?;
    }
    let sales = stores.ledger.sales().await?;
    let known: Vec<ProductId> = sales.into_iter().map(|sale| sale.product).collect();
    for entry in &letter.entries {
        stores.ledger.record_discard(record(Some(&entry.purchase))).await?;
        if known.contains(&entry.purchase.product) {
            revoke(stores, &entry.purchase, reason).await?;
        }
    }
    Ok(())
}

/// Takes a purchase back, unless it was recorded after all.
async fn revoke(stores: &Stores, purchase: &Purchase, reason: &str) -> Result<(), DeadLetterError> {
    // Also one that was cancelled since.
    let same = stores.ledger.purchase(purchase.id).await?;
    if same.is_some_and(|same| same.purchase.user == purchase.user) {
        return Ok(());
    }
    let recorded = stores.ledger.purchase_of(&purchase.product, &purchase.user).await?;
    stores.ledger.revoke(purchase, reason).await?;
    let is_held = stores.ledger.unit_is_held(&purchase.product, purchase.unit).await?;
    let unit = if is_held { WithdrawnUnit::BelongsToOther } else { WithdrawnUnit::Returns };
    stores.admission.withdraw(purchase, recorded.as_ref(), unit).await?;
    Ok(())
}

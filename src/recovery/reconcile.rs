//! Compares admission with the ledger, purchase by purchase, and mends what can be mended without guessing.

use std::time::Duration;

use super::RecoveryError;
use crate::admission::EntryKey;
use crate::audit::{Difference, GatherError, Repair, Sources, differences};
use crate::domain::ProductId;
use crate::worker::Stores;

/// Purchases move on while they are compared. What differs twice, this far apart, differs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// The differences of a product that last.
pub async fn compare(stores: &Stores, product: &ProductId) -> Result<Vec<Difference>, GatherError> {
    let sources = Sources {
        ledger: stores.ledger.clone(),
        gate: Some(stores.gate.clone()),
        broker: Some(stores.broker.clone()),
    };
    let first = differences(&sources.gather(product).await?);
    if first.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(BETWEEN_LOOKS).await;
    let mut second = differences(&sources.gather(product).await?);
    second.retain(|difference| first.contains(difference));
    Ok(second)
}

/// Mends differences; says how many repairs were made. One rebuild mends everything that only a rebuild can.
pub async fn repair(
    stores: &Stores,
    product: &ProductId,
    differences: &[Difference],
) -> Result<usize, RecoveryError> {
    let mut repairs = 0;
    for difference in differences {
        match &difference.repair {
            Repair::Settle(entry) => {
                let sequence = Some(entry.id.sequence);
                let key = EntryKey { millis: entry.id.millis, sequence, purchase: entry.purchase.id };
                stores.gate.settle(product, entry.epoch, &[key]).await?;
                repairs += 1;
            }
            Repair::SendAgain(purchase) => {
                repairs += usize::from(stores.gate.send_again(purchase).await?);
            }
            Repair::Rebuild => {}
        }
    }
    if differences.iter().any(|difference| difference.repair == Repair::Rebuild) {
        // No state of an earlier epoch may sell: the leader sees that it is one, and rebuilds.
        stores.ledger.raise_epoch(product, 0).await?;
        repairs += 1;
    }
    Ok(repairs)
}

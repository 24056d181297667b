//! Compares admission with the ledger, purchase by purchase, and mends what can be mended without guessing.

use std::time::Duration;

use serde::Serialize;

use super::RecoveryError;
use crate::audit::{Difference, GatherError, Law, Repair, Sources, differences, law};
use crate::domain::ProductId;
use crate::runtime::Runtime;
use crate::stores::Stores;

/// Purchases move on while they are compared. What differs twice, this far apart, differs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// What the stores say of a product, and where they differ.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The conservation law. While the sale runs, its numbers are of slightly different instants.
    pub law: Law,
    /// Messages in the queue of purchases, of all products, that no worker holds.
    pub queued: Option<u32>,
    /// The differences that last.
    pub differences: Vec<Difference>,
}

/// Compares the stores of a product: winners, outbox, queue depth and ledger, both ways.
pub async fn compare(
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Comparison, GatherError> {
    let sources = Sources {
        ledger: stores.ledger.clone(),
        admission: Some(stores.admission.clone()),
        broker: Some(stores.broker.clone()),
    };
    let look = async || {
        let evidence = sources.gather(product).await?;
        let (law, queued, differences) = (law(&evidence), evidence.queued, differences(&evidence));
        Ok::<_, GatherError>(Comparison { law, queued, differences })
    };
    let first = look().await?;
    if first.differences.is_empty() {
        return Ok(first);
    }
    runtime.sleep(BETWEEN_LOOKS).await;
    let mut second = look().await?;
    second.differences.retain(|found| first.differences.iter().any(|before| before.is_same(found)));
    Ok(second)
}

/// What was mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Entries deleted or sent again, and at most one rebuild, which mends everything that only a rebuild can.
    pub made: usize,
    /// Differences that end by themselves, once what is away is back.
    pub left: usize,
}

/// Mends differences.
pub async fn repair(
    stores: &Stores,
    product: &ProductId,
    differences: &[Difference],
) -> Result<Repairs, RecoveryError> {
    let mut repairs = Repairs::default();
    for difference in differences {
        match &difference.repair {
            Repair::Settle(entry) => {
                stores.admission.settle(std::slice::from_ref(entry)).await?;
                repairs.made += 1;
            }
            Repair::SendAgain(purchase) => {
                repairs.made += usize::from(stores.admission.send_again(purchase).await?);
            }
            Repair::Wait => repairs.left += 1,
            Repair::Rebuild => {}
        }
    }
    if differences.iter().any(|difference| difference.repair == Repair::Rebuild) {
        // No state of an earlier epoch may sell: the leader sees that it is one, and rebuilds.
        stores.ledger.raise_epoch(product, 0).await?;
        repairs.made += 1;
    }
    Ok(repairs)
}

//! The progress of a running sale, and whether its units add up, at little cost.

use serde::{Deserialize, Serialize};

use super::{GatherError, Sources};
use crate::admission::Admission;
use crate::domain::{Conservation, ProductId};
use crate::ledger::Ledger;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub remaining: Option<u32>,
    pub in_flight: Option<u64>,
    /// Purchases in the ledger.
    pub rows: u64,
}

impl Sources {
    pub async fn counts(&self, product: &ProductId) -> Result<Counts, GatherError> {
        let sale = match &self.admission {
            Some(admission) => Some(admission.sale(product).await?),
            None => None,
        };
        Ok(Counts {
            remaining: sale.as_ref().map(|sale| sale.remaining),
            in_flight: sale.as_ref().map(|sale| sale.in_flight),
            rows: self.ledger.counts(product).await?.recorded,
        })
    }
}

/// The conservation law of a sale that goes on, which no purchase on its way breaks. `None`: the
/// sale was rebuilt meanwhile.
pub async fn running_conservation(
    admission: &dyn Admission,
    ledger: &dyn Ledger,
    product: &ProductId,
) -> Result<Option<Conservation>, GatherError> {
    let before = admission.sale(product).await?;
    let counts = ledger.counts(product).await?;
    let after = admission.sale(product).await?;
    Ok((before.epoch == after.epoch).then(|| Conservation::between(&before, counts, &after)))
}

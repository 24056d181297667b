//! Comparing the stores of a sale on request, and repairing what differs.

use super::Actor;
use crate::audit::GatherError;
use crate::domain::ProductId;
use crate::recovery::{Comparison, RecoveryError, Repairs, compare, repair};
use crate::runtime::Runtime;
use crate::stores::Stores;

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Gather(#[from] GatherError),
    #[error(transparent)]
    Repair(#[from] RecoveryError),
}

/// The differences that were found, and what was done about them.
#[derive(Debug)]
pub struct Reconciliation {
    pub comparison: Comparison,
    pub repairs: Repairs,
}

pub async fn report_differences(
    actor: &Actor,
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Comparison, ReconcileError> {
    actor.reads("reconcile: compare", product.as_str());
    Ok(compare(stores, product, runtime).await?)
}

pub async fn fix_differences(
    actor: &Actor,
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Reconciliation, ReconcileError> {
    let comparison = compare(stores, product, runtime).await?;
    let repairs = repair(stores, product, &comparison.differences).await?;
    let Repairs { made, left } = repairs;
    if made + left > 0 {
        actor.has_changed(&format!("reconcile: {made} repairs, {left} differences left"), product.as_str());
    }
    Ok(Reconciliation { comparison, repairs })
}

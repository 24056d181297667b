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

pub async fn report_differences(
    actor: &Actor,
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Comparison, ReconcileError> {
    actor.reads("reconcile: compare", product.as_str());
    Ok(compare(stores, product, runtime).await?)
}

/// Repairs the differences that [`report_differences`] has found.
pub async fn fix_differences(
    actor: &Actor,
    stores: &Stores,
    product: &ProductId,
    comparison: &Comparison,
) -> Result<Repairs, ReconcileError> {
    let repairs = repair(stores, product, &comparison.differences).await?;
    let Repairs { made, left } = repairs;
    if made > 0 {
        actor.has_changed(&format!("reconcile: {made} repairs, {left} differences left"), product.as_str());
    }
    Ok(repairs)
}

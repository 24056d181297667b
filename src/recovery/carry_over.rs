//! Carries what operators decide about purchases over from the ledger to admission.
//!
//! A decision is committed to the ledger with a change that admission must follow. The leader makes
//! each change, in their order, and deletes it then: an operation that ends in between is completed
//! by the next round or the next leader. Each change is idempotent, and a rebuild, which reads the
//! ledger, has made it.

use super::{Recovery, RecoveryError};
use crate::admission::AdmissionError;
use crate::domain::{AdmissionChange, ChangeKind, ProductId, Purchase};
use crate::runtime::{crash_points::crash_point, error_chain};

/// Changes read at a time; imports among them are made together.
const PAGE: u32 = 500;
/// Changes made in a round, which has other work.
const ROUND_MAX: u32 = 20 * PAGE;

impl Recovery {
    /// Makes the changes of these products.
    pub(super) async fn carry_over(&mut self, selling: &[(ProductId, u64)]) -> Result<(), RecoveryError> {
        let (mut after, mut read) = (0, 0);
        while read < ROUND_MAX {
            let page = self.stores.ledger.changes(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.number;
            read += PAGE;
            let is_open = |change: &AdmissionChange| {
                selling.iter().any(|(product, _)| product == product_of(&change.kind))
            };
            let due: Vec<_> = page.into_iter().filter(is_open).collect();
            let made = self.make(due).await;
            crash_point!("recovery-after-change");
            if !made.is_empty() {
                self.stores.ledger.complete_changes(&made).await?;
                tracing::info!(changes = made.len(), "carried operators' decisions over to admission");
            }
        }
        Ok(())
    }

    /// Returns the changes that are made. After an error the rest of a product's waits,
    /// since their order matters.
    async fn make(&self, due: Vec<AdmissionChange>) -> Vec<AdmissionChange> {
        let (mut made, mut waiting) = (Vec::new(), Vec::new());
        for group in groups(due) {
            let Some(product) = group.first().map(|first| product_of(&first.kind).clone()) else { continue };
            if waiting.contains(&product) {
                continue;
            }
            match self.make_group(&group).await {
                Ok(true) => made.extend(group),
                // The purchase of the user is on its way under the former name.
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%product, error = error_chain(&error), "changes of admission wait");
                    waiting.push(product);
                }
            }
        }
        made
    }

    async fn make_group(&self, group: &[AdmissionChange]) -> Result<bool, AdmissionError> {
        let admission = &self.stores.admission;
        match group.first().map(|change| &change.kind) {
            None => Ok(true),
            Some(ChangeKind::Import(_)) => {
                let purchase = |change: &AdmissionChange| match &change.kind {
                    ChangeKind::Import(purchase) => Some(purchase.clone()),
                    _ => None,
                };
                let earlier: Vec<Purchase> = group.iter().filter_map(purchase).collect();
                admission.bar(&earlier).await.map(|()| true)
            }
            Some(ChangeKind::Cancel { purchase, keeps_unit, may_buy_again }) => {
                admission.cancel(purchase, *keeps_unit, *may_buy_again).await.map(|_known| true)
            }
            Some(ChangeKind::Rename { product, user, pseudonym }) => {
                admission.rename(product, user, pseudonym).await
            }
        }
    }
}

fn product_of(kind: &ChangeKind) -> &ProductId {
    match kind {
        ChangeKind::Cancel { purchase, .. } | ChangeKind::Import(purchase) => &purchase.product,
        ChangeKind::Rename { product, .. } => product,
    }
}

/// Groups imports of one product that follow each other; every other change is alone.
fn groups(changes: Vec<AdmissionChange>) -> Vec<Vec<AdmissionChange>> {
    let mut groups: Vec<Vec<AdmissionChange>> = Vec::new();
    for change in changes {
        let product_of_import = |change: &AdmissionChange| match &change.kind {
            ChangeKind::Import(purchase) => Some(purchase.product.clone()),
            _ => None,
        };
        let product = product_of_import(&change);
        match groups.last_mut() {
            Some(group) if product.is_some() && group.first().and_then(product_of_import) == product => {
                group.push(change);
            }
            _ => groups.push(vec![change]),
        }
    }
    groups
}

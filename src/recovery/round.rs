//! One round: which sales are maintained, and which admission states must be rebuilt.

use super::{Recovery, RecoveryError, obstacle::Obstacles};
use crate::admission::AdmissionError;
use crate::domain::{ProductId, SaleState};
use crate::ledger::{Leadership, LedgerSale};
use crate::runtime::error_chain;

impl Recovery {
    /// Compares every product's admission state with the ledger, once, and does what is needed. A
    /// failure of one product does not hold up the others.
    pub async fn round(&mut self, leader: &mut dyn Leadership) -> Result<(), RecoveryError> {
        self.hold_bindings(leader).await?;
        let (mut broken, mut selling, mut obstacles) = (Vec::new(), Vec::new(), Obstacles::default());
        for sale in self.stores.ledger.sales().await? {
            let product = sale.product.clone();
            let maintained = match self.stores.admission.sale(&product).await {
                Ok(state) => {
                    if let Some(reason) = mismatch(&state, &sale) {
                        broken.push((sale, reason.to_owned()));
                        continue;
                    }
                    selling.push((product.clone(), sale.epoch));
                    obstacles.add(&sale, &state);
                    self.maintain(&sale, &state).await
                }
                Err(AdmissionError::NotReady | AdmissionError::Rebuilding(_)) => {
                    let new = sale.epoch == 0;
                    let reason = if new { "it is new" } else { "admission has no usable state of it" };
                    broken.push((sale, reason.to_owned()));
                    continue;
                }
                Err(error @ (AdmissionError::Malformed(_) | AdmissionError::Damaged(_))) => {
                    broken.push((sale, error_chain(&error)));
                    continue;
                }
                Err(error) => {
                    obstacles.not_intact();
                    selling.push((product.clone(), sale.opened_epoch));
                    Err(error.into())
                }
            };
            self.note(&product, maintained);
        }
        self.replace_stalled_queues(leader, obstacles, &broken).await?;
        self.bind(&selling).await;
        // A rebuild makes what a change asks for as well, and must not wait for it.
        let carried_over = self.carry_over(&selling).await;
        if broken.is_empty() { carried_over } else { self.rebuild(leader, broken).await }
    }

    /// Logs what is wrong with a product once, not in every round.
    pub(super) fn note(&mut self, product: &ProductId, maintained: Result<(), RecoveryError>) {
        match maintained {
            Ok(()) => drop(self.failures.remove(product)),
            Err(error) => {
                let failure = error_chain(&error);
                if self.failures.get(product) != Some(&failure) {
                    tracing::warn!(%product, "this product is not maintained: {failure}");
                    self.failures.insert(product.clone(), failure);
                }
            }
        }
    }
}

/// Why the admission state can't be trusted, if so.
fn mismatch(state: &SaleState, sale: &LedgerSale) -> Option<&'static str> {
    if state.epoch != sale.epoch {
        Some("its epoch is not the ledger's")
    } else if state.next < sale.highest_unit {
        Some("it is behind the ledger: admission was rolled back")
    } else {
        None
    }
}

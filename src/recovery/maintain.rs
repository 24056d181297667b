//! The maintenance of one sale whose admission state is intact.

use super::{Recovery, RecoveryError};
use crate::domain::{SaleState, Terms};
use crate::ledger::LedgerSale;
use crate::outbox::Swept;
use crate::runtime::error_chain;

impl Recovery {
    /// Carries changed terms over, and sweeps.
    pub(super) async fn maintain(
        &mut self,
        sale: &LedgerSale,
        state: &SaleState,
    ) -> Result<(), RecoveryError> {
        let LedgerSale { product, epoch, terms, lower_stock_to, .. } = sale;
        let total_stock = lower_stock_to.unwrap_or(terms.total_stock);
        let terms = Terms { total_stock, ..terms.clone() };
        let agreed = state.terms == terms || self.stores.admission.configure(product, *epoch, &terms).await?;
        if agreed && state.terms != terms {
            tracing::info!(%product, "the terms have changed: {terms}");
        }
        if let Some(wanted) = *lower_stock_to
            && !self.stores.ledger.settle_stock(product, wanted, agreed).await?
        {
            tracing::warn!(
                %product, total_stock,
                "the catalogue's total_stock is not obeyed: more units are handed out already"
            );
        }
        if state.in_flight > 0 {
            match self.sweeper.sweep(product, state).await {
                Ok(Swept { sent, settled }) => {
                    if sent > 0 {
                        tracing::info!(%product, sent, "sent again from the outbox");
                    }
                    if settled > 0 {
                        tracing::info!(%product, settled, "recorded, and still in the outbox: settled");
                    }
                }
                Err(error) => tracing::debug!(error = error_chain(&error), %product, "the sweep ended early"),
            }
        }
        Ok(())
    }
}

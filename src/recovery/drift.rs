//! The result of the scheduled comparison, for readiness and the log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::reconcile::{compare, send_lost_again};
use crate::audit::{Difference, DifferenceKind};
use crate::domain::ProductId;
use crate::ledger::LedgerSale;
use crate::observability::readiness::{Check, Probe, Subject};
use crate::runtime::{Runtime, error_chain};
use crate::stores::Stores;

/// The differences of the last comparison, by product; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drift(Arc<Mutex<BTreeMap<ProductId, Kinds>>>);

type Kinds = BTreeMap<DifferenceKind, usize>;

impl Drift {
    /// Products whose stores differ, and the number of differences.
    pub fn products(&self) -> Vec<(ProductId, usize)> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().map(|(product, kinds)| (product.clone(), kinds.values().sum())).collect()
    }

    /// For a process that has lost the leadership: another one compares from now on.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Compares every product, puts purchases that the ledger lacks into the outbox again, and logs
    /// each change once. Returns whether every product was compared.
    pub(super) async fn compare(self, stores: Stores, runtime: Runtime) -> bool {
        let sales = match stores.ledger.sales().await {
            Ok(sales) => sales,
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "nothing was compared");
                return false;
            }
        };
        let mut is_whole = true;
        for LedgerSale { product, .. } in sales {
            let compared = async {
                let found =
                    compare(&stores, &product, &runtime).await.map_err(|error| error_chain(&error))?;
                let sent = send_lost_again(&*stores.admission, &found.differences).await;
                Ok::<_, String>((found.differences, sent.map_err(|error| error_chain(&error))?))
            };
            match compared.await {
                Ok((differences, sent)) => self.note(&product, differences, sent),
                Err(error) => {
                    tracing::debug!(error, %product, "not compared");
                    is_whole = false;
                }
            }
        }
        is_whole
    }

    /// `sent`: how many lost purchases are on their way again.
    fn note(&self, product: &ProductId, mut differences: Vec<Difference>, sent: usize) {
        if sent > 0 {
            let cause = DifferenceKind::LostOnTheWay.cause();
            tracing::warn!(%product, sent, "purchases that the ledger lacks are in the outbox again: {cause}");
        }
        tracing::debug!(%product, differences = differences.len(), "compared admission with the ledger");
        differences.retain(|difference| difference.kind() != DifferenceKind::LostOnTheWay);
        self.set(product, &differences);
    }

    fn set(&self, product: &ProductId, differences: &[Difference]) {
        let mut kinds = Kinds::new();
        for difference in differences {
            *kinds.entry(difference.kind()).or_default() += 1;
        }
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.get(product).unwrap_or(&Kinds::new()) == &kinds {
            return;
        }
        if kinds.is_empty() {
            found.remove(product);
            tracing::info!(%product, "admission and ledger agree again");
            return;
        }
        let number = differences.len();
        let shown: Vec<_> =
            kinds.iter().map(|(kind, number)| format!("{number} {}", kind.as_str())).collect();
        let shown = shown.join(", ");
        tracing::warn!(%product, "admission and ledger differ in {number} places ({shown}): run `flashsale reconcile`");
        found.insert(product.clone(), kinds);
    }
}

impl Probe for Drift {
    fn check(&self) -> Vec<Check> {
        let check = |(product, differences)| {
            let outage = Some(format!("admission and ledger differ in {differences} places"));
            let name = format!("reconciliation {product}");
            Check { subject: Subject::Reconciliation, name, outage, required: false }
        };
        self.products().into_iter().map(check).collect()
    }
}

//! What the scheduled comparison found, for the readiness answer and the log.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use super::compare;
use crate::audit::Difference;
use crate::domain::ProductId;
use crate::worker::Stores;

/// The differences that the last comparison found, by product; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Drift(Arc<Mutex<BTreeMap<ProductId, usize>>>);

impl Drift {
    /// Products whose stores differ, and in how many places.
    pub fn products(&self) -> Vec<(ProductId, usize)> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().map(|(product, number)| (product.clone(), *number)).collect()
    }

    /// Compares every product. Each change is logged once.
    pub(super) async fn look(self, stores: Stores) {
        let sales = match stores.ledger.sales().await {
            Ok(sales) => sales,
            Err(error) => return tracing::debug!(%error, "nothing was compared"),
        };
        for sale in sales {
            match compare(&stores, &sale.product).await {
                Ok(comparison) => self.note(&sale.product, &comparison.differences),
                Err(error) => tracing::debug!(%error, product = %sale.product, "not compared"),
            }
        }
    }

    fn note(&self, product: &ProductId, differences: &[Difference]) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (found.get(product).copied().unwrap_or(0), differences.len());
        if now == before {
            return;
        }
        if now == 0 {
            found.remove(product);
            tracing::info!(%product, "admission and ledger agree again");
            return;
        }
        found.insert(product.clone(), now);
        let mut kinds: HashMap<_, usize> = HashMap::new();
        for difference in differences {
            *kinds.entry(difference.kind).or_default() += 1;
        }
        tracing::warn!(%product, ?kinds, "admission and ledger differ in {now} places: run `flashsale reconcile`");
    }
}

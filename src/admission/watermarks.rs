//! How far this process has seen each sale.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Decision, Watermark};
use crate::domain::ProductId;

/// Clones share the watermarks. One that was raised never falls.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermarks(Arc<Mutex<HashMap<ProductId, Watermark>>>);

impl Watermarks {
    pub(super) fn of(&self, product: &ProductId) -> Watermark {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(product).copied().unwrap_or_default()
    }

    /// A unit that was won is handed out.
    pub(super) fn note_decision(&self, product: &ProductId, decision: &Decision) {
        if let Decision::Won(entry) = decision {
            self.raise(product, Watermark { epoch: entry.epoch, unit: entry.purchase.unit });
        }
    }

    pub(super) fn raise(&self, product: &ProductId, seen: Watermark) {
        let mut watermarks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match watermarks.get_mut(product) {
            Some(watermark) => *watermark = seen.max(*watermark),
            None => drop(watermarks.insert(product.clone(), seen)),
        }
    }
}

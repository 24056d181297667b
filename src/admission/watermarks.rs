//! How far this process has seen each sale.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Decision, Horizon, Watermark};
use crate::domain::ProductId;

/// Clones share the watermarks. One that was raised never falls.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermarks(Arc<Mutex<HashMap<ProductId, Horizon>>>);

impl Watermarks {
    pub(super) fn of(&self, product: &ProductId) -> Horizon {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(product).copied().unwrap_or_default()
    }

    /// A unit that was won is handed out.
    pub(super) fn note_decision(&self, product: &ProductId, decision: &Decision) {
        if let Decision::Won(entry) = decision {
            self.saw(product, Watermark { epoch: entry.epoch, unit: entry.purchase.unit });
        }
    }

    pub(super) fn saw(&self, product: &ProductId, seen: Watermark) {
        self.advance(product, Horizon { seen, raised: 0 });
    }

    pub(super) fn advance(&self, product: &ProductId, to: Horizon) {
        let mut horizons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match horizons.get_mut(product) {
            Some(known) => {
                (known.seen, known.raised) = (to.seen.max(known.seen), to.raised.max(known.raised));
            }
            None => drop(horizons.insert(product.clone(), to)),
        }
    }
}

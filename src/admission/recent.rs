//! Sales as they stood a moment ago: what thousands of people who look at the same time are shown.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Gate, GateError};
use crate::domain::{ProductId, SaleState};

/// A look may lag by 250 ms: this much is kept, and the rest is for the way.
const AGE_MAX: Duration = Duration::from_millis(200);

/// Looks at sales, of which each is asked for by one at a time; the others wait for that answer.
#[derive(Clone, Debug, Default)]
pub struct RecentSales {
    looks: Arc<Mutex<HashMap<ProductId, LastLook>>>,
    /// How many units this process has handed out: a look of before is too old.
    admissions: Arc<AtomicU64>,
}

/// Whoever looks holds it; the others wait.
type LastLook = Arc<tokio::sync::Mutex<Option<Look>>>;

#[derive(Debug)]
struct Look {
    at: Instant,
    admissions: u64,
    state: SaleState,
}

impl RecentSales {
    /// Notes that a unit was handed out.
    pub fn admitted(&self) {
        self.admissions.fetch_add(1, Ordering::Relaxed);
    }

    /// For another thread, which looks for itself, and knows of the same admissions.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self { looks: Arc::default(), admissions: self.admissions.clone() }
    }

    /// The sale as it stood at most a moment ago, at the present time.
    pub async fn sale(&self, gate: &Gate, product: &ProductId) -> Result<SaleState, GateError> {
        let look = {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(look) = looks.get(product) {
                look.clone()
            } else {
                looks.entry(product.clone()).or_default().clone()
            }
        };
        let mut look = look.lock().await;
        let admissions = self.admissions.load(Ordering::Relaxed);
        if let Some(Look { at, admissions: known, state }) = &*look
            && at.elapsed() < AGE_MAX
            && *known == admissions
        {
            // Time has gone on meanwhile, and a window opens in time.
            let now = state.now + at.elapsed();
            return Ok(SaleState { now, ..state.clone() });
        }
        let at = Instant::now();
        let state = gate.sale(product).await?;
        *look = Some(Look { at, admissions, state: state.clone() });
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::EmbeddedGate;
    use crate::clock::Clock;
    use crate::domain::{PurchaseId, Terms, UserId};

    #[tokio::test]
    async fn a_look_is_kept_for_a_moment_unless_a_unit_was_handed_out_here() {
        let clock = Clock::system();
        let gate = Gate::Embedded(EmbeddedGate::new(clock.clone()));
        let product = ProductId::parse("p").unwrap();
        let terms = Terms { total_stock: 9, opens_at: None, closes_at: None, paused: false };
        gate.fence(&product, 1).await.unwrap();
        gate.open(&product, 1, &terms, 0, false).await.unwrap();
        let (recent, other) = (RecentSales::default(), RecentSales::default());
        let left = async |sales: &RecentSales| sales.sale(&gate, &product).await.unwrap().remaining;
        let mut last = (left(&recent).await, left(&other).await);
        // On a slow machine a look may have become too old by itself; not in every one of twenty turns.
        let mut kept = false;
        for turn in 0..20 {
            let user = UserId::parse(&format!("u{}", turn % 9)).unwrap();
            gate.admit(&product, &user, PurchaseId::generate(clock.now())).await.unwrap();
            recent.admitted();
            let now = (left(&recent).await, left(&other).await);
            assert_eq!(now.0, 9 - (turn + 1).min(9), "this process has handed a unit out");
            kept |= turn < 9 && now.1 == last.1;
            last = now;
        }
        assert!(kept, "no look was kept");
    }
}

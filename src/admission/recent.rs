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

/// Looks at sales, of which each is asked for by one at a time; whoever asks meanwhile gets that answer too.
#[derive(Clone, Debug, Default)]
pub struct RecentSales {
    looks: Arc<Mutex<HashMap<ProductId, LastLook>>>,
    /// How many units this process has handed out: whoever asks after that wants to see it.
    admissions: Arc<AtomicU64>,
}

/// Whoever looks holds it; the others wait.
type LastLook = Arc<tokio::sync::Mutex<Option<Look>>>;

#[derive(Debug)]
struct Look {
    began: Instant,
    ended: Instant,
    /// Of when it began.
    admissions: u64,
    seen: Result<SaleState, GateError>,
}

impl Look {
    /// Whether it answers who asks at this time, knowing of so many admissions.
    fn answers(&self, asked: Instant, admissions: u64) -> bool {
        let is_recent = self.seen.is_ok() && self.began.elapsed() < AGE_MAX && self.admissions >= admissions;
        self.began >= asked || is_recent
    }

    /// What it saw, at the present time.
    fn tell(&self) -> Result<SaleState, GateError> {
        match &self.seen {
            // Time has gone on meanwhile, and a window opens in time.
            Ok(state) => Ok(SaleState { now: state.now + self.ended.elapsed(), ..state.clone() }),
            Err(error) => Err(error.of_the_same_moment()),
        }
    }
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

    /// The sale as it stands, or stood at most a moment ago.
    pub async fn sale(&self, gate: &Gate, product: &ProductId) -> Result<SaleState, GateError> {
        self.look(product, || gate.sale(product)).await
    }

    async fn look<Looking>(
        &self,
        product: &ProductId,
        look: impl FnOnce() -> Looking,
    ) -> Result<SaleState, GateError>
    where
        Looking: Future<Output = Result<SaleState, GateError>>,
    {
        let (asked, admissions) = (Instant::now(), self.admissions.load(Ordering::Relaxed));
        let last = {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.entry(product.clone()).or_default().clone()
        };
        let mut last = last.lock().await;
        if let Some(recent) = last.as_ref().filter(|last| last.answers(asked, admissions)) {
            return recent.tell();
        }
        let (began, admissions) = (Instant::now(), self.admissions.load(Ordering::Relaxed));
        let seen = look().await;
        let fresh = Look { began, ended: Instant::now(), admissions, seen };
        let told = fresh.tell();
        *last = Some(fresh);
        told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::domain::Terms;

    fn product() -> ProductId {
        ProductId::parse("p").unwrap()
    }

    fn state(remaining: u32) -> SaleState {
        let terms = Terms { total_stock: 9, opens_at: None, closes_at: None, paused: false };
        let now = chrono::DateTime::UNIX_EPOCH;
        SaleState { epoch: 1, terms, next: 9 - remaining, remaining, in_flight: 0, dead: 0, now }
    }

    #[tokio::test]
    async fn whoever_asks_while_somebody_looks_gets_that_answer_also_if_it_is_an_error() {
        for fails in [false, true] {
            let (sales, looks) = (RecentSales::default(), AtomicU32::new(0));
            let ask = async || {
                let look = || async {
                    looks.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if fails { Err(GateError::NotReady) } else { Ok(state(3)) }
                };
                sales.look(&product(), look).await.is_err()
            };
            let answers = futures_util::future::join_all((0..100).map(|_| ask())).await;
            assert!(answers.iter().all(|failed| *failed == fails));
            // The first, and one for everybody who asked while it was under way.
            assert!(looks.load(Ordering::Relaxed) <= 2, "{looks:?} looks");
        }
    }

    #[tokio::test]
    async fn whoever_asks_after_a_unit_was_handed_out_here_sees_it() {
        let sales = RecentSales::default();
        let left = async |remaining| {
            sales.look(&product(), || async { Ok(state(remaining)) }).await.unwrap().remaining
        };
        assert_eq!(left(3).await, 3);
        sales.admitted();
        assert_eq!(left(2).await, 2);
    }

    #[test]
    fn a_look_is_kept_for_a_moment() {
        let look = |seen, age| {
            let began = Instant::now().checked_sub(age).unwrap();
            Look { began, ended: began, admissions: 5, seen }
        };
        let (young, old) = (AGE_MAX / 4, AGE_MAX * 2);
        let now = Instant::now();
        assert!(look(Ok(state(1)), young).answers(now, 5));
        assert!(!look(Ok(state(1)), young).answers(now, 6), "a unit was handed out since");
        assert!(!look(Ok(state(1)), old).answers(now, 5));
        assert!(!look(Err(GateError::NotReady), young).answers(now, 5), "an error is not kept");
    }
}

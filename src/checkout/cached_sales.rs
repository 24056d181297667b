//! Cached reads of sales, single-flight: thousands of readers at the same time cost admission one
//! read.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::admission::{Admission, AdmissionError};
use crate::domain::{ProductId, SaleState};
use crate::runtime::Runtime;

/// The promised staleness bound is 250 ms; the difference is for the answer's way.
const AGE_MAX: Duration = Duration::from_millis(200);

/// The latest read of each sale. One reader at a time asks admission; the others
/// wait for that answer.
#[derive(Clone, Debug)]
pub struct CachedSales {
    reads: Arc<Mutex<HashMap<ProductId, LastRead>>>,
    /// How many units this process has handed out: a reader must see what was handed
    /// out before its question.
    admissions: Arc<AtomicU64>,
    runtime: Runtime,
}

/// Locked by the reader that asks admission.
type LastRead = Arc<tokio::sync::Mutex<Option<Read>>>;

#[derive(Debug)]
struct Read {
    began: Instant,
    ended: Instant,
    /// The count of admissions when it began.
    admissions: u64,
    answer: Result<SaleState, AdmissionError>,
}

impl Read {
    /// Whether it answers, at `now`, a question that was `asked` then with
    /// this count of admissions.
    fn answers(&self, asked: Instant, admissions: u64, now: Instant) -> bool {
        let is_recent = self.answer.is_ok() && now - self.began < AGE_MAX && self.admissions >= admissions;
        self.began >= asked || is_recent
    }

    /// The answer, at the present time.
    fn at(&self, now: Instant) -> Result<SaleState, AdmissionError> {
        match &self.answer {
            // Time has gone on meanwhile, and a window opens in time.
            Ok(state) => Ok(SaleState { now: state.now + (now - self.ended), ..state.clone() }),
            Err(error) => Err(error.shared()),
        }
    }
}

impl CachedSales {
    pub fn new(runtime: &Runtime) -> Self {
        Self { reads: Arc::default(), admissions: Arc::default(), runtime: runtime.clone() }
    }

    /// Counts a unit that was handed out.
    pub fn admitted(&self) {
        self.admissions.fetch_add(1, Ordering::Relaxed);
    }

    /// A cache for another thread, which knows of the same admissions.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self { reads: Arc::default(), ..self.clone() }
    }

    /// The sale, at most 250 ms old.
    pub async fn sale(
        &self,
        admission: &dyn Admission,
        product: &ProductId,
    ) -> Result<SaleState, AdmissionError> {
        self.read(product, || admission.sale(product)).await
    }

    async fn read<Reading>(
        &self,
        product: &ProductId,
        read: impl FnOnce() -> Reading,
    ) -> Result<SaleState, AdmissionError>
    where
        Reading: Future<Output = Result<SaleState, AdmissionError>>,
    {
        let (asked, admissions) = (self.runtime.instant(), self.admissions.load(Ordering::Relaxed));
        let last = {
            let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            match reads.get(product) {
                Some(last) => last.clone(),
                None => reads.entry(product.clone()).or_default().clone(),
            }
        };
        let mut last = last.lock().await;
        let now = self.runtime.instant();
        if let Some(recent) = last.as_ref().filter(|last| last.answers(asked, admissions, now)) {
            return recent.at(now);
        }
        let (began, admissions) = (now, self.admissions.load(Ordering::Relaxed));
        let answer = read().await;
        let ended = self.runtime.instant();
        let fresh = Read { began, ended, admissions, answer };
        let answer = fresh.at(ended);
        *last = Some(fresh);
        answer
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
        SaleState {
            epoch: 1,
            terms,
            next: 9 - remaining,
            remaining,
            in_flight: 0,
            dead: 0,
            newest: None,
            now,
        }
    }

    #[tokio::test]
    async fn readers_that_ask_at_once_share_one_answer_also_if_it_is_an_error() {
        for fails in [false, true] {
            let (sales, reads) = (CachedSales::new(&Runtime::system()), AtomicU32::new(0));
            let ask = async || {
                let read = || async {
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if fails { Err(AdmissionError::NotReady) } else { Ok(state(3)) }
                };
                sales.read(&product(), read).await.is_err()
            };
            let answers = futures_util::future::join_all((0..100).map(|_| ask())).await;
            assert!(answers.iter().all(|failed| *failed == fails));
            // The first, and one for all that asked while it was under way.
            assert!(reads.load(Ordering::Relaxed) <= 2, "{reads:?} reads");
        }
    }

    #[tokio::test]
    async fn a_reader_sees_the_units_that_were_handed_out_here_before_its_question() {
        let sales = CachedSales::new(&Runtime::system());
        let left = async |remaining| {
            sales.read(&product(), || async { Ok(state(remaining)) }).await.unwrap().remaining
        };
        assert_eq!(left(3).await, 3);
        sales.admitted();
        assert_eq!(left(2).await, 2);
    }

    #[test]
    fn an_answer_is_kept_within_the_staleness_bound() {
        let now = Runtime::system().instant();
        let read = |answer, age| {
            let began = now.checked_sub(age).unwrap();
            Read { began, ended: began, admissions: 5, answer }
        };
        let (young, old) = (AGE_MAX / 4, AGE_MAX * 2);
        assert!(read(Ok(state(1)), young).answers(now, 5, now));
        assert!(!read(Ok(state(1)), young).answers(now, 6, now), "a unit was handed out since");
        assert!(!read(Ok(state(1)), old).answers(now, 5, now));
        assert!(!read(Err(AdmissionError::NotReady), young).answers(now, 5, now), "an error is not kept");
    }
}

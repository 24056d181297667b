//! The measurements of a run: counts and latencies per second, and the history for the audit.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::response::ResponseClass;
use crate::audit::Attempt;
use crate::runtime::Runtime;

/// One finished request; times count from the beginning of the run.
#[derive(Debug)]
pub(super) struct Sample {
    /// Latency counts from here, not from `sent`.
    pub(super) due: Duration,
    pub(super) sent: Duration,
    pub(super) ended: Duration,
    pub(super) class: ResponseClass,
    /// The history line of a purchase attempt; `None` for a viewer's request.
    pub(super) attempt: Option<Attempt>,
}

type Responses = BTreeMap<ResponseClass, u64>;

#[derive(Clone, Debug)]
pub(super) struct Second {
    /// Finished requests, by the second in which they were due.
    pub(super) due: u64,
    /// The same, by the second in which they were sent.
    pub(super) sent: u64,
    pub(super) responses: Responses,
    /// Microseconds from the scheduled start.
    pub(super) latencies: Histogram<u64>,
    pub(super) stock: Option<i64>,
    /// Rows in the ledger.
    pub(super) rows: Option<u64>,
}

/// All buyers, or all viewers.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) responses: Responses,
    /// Microseconds from the scheduled start.
    pub(super) latencies: Histogram<u64>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) seconds: Vec<Second>,
    pub(super) buyers: Group,
    pub(super) viewers: Group,
    /// Requests that were sent later than `late_after` after they were due.
    pub(super) late: u64,
    pub(super) attempts: Vec<Attempt>,
    /// The lowest stock that the API has answered.
    pub(super) stock_min: Option<i64>,
    pub(super) stock_polls: u64,
}

/// Clones share one record.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) began: Instant,
    runtime: Runtime,
    late_after: Duration,
    record: Arc<Mutex<Record>>,
}

impl Recorder {
    /// `began` may be in the future.
    pub(super) fn new(began: Instant, late_after: Duration, runtime: &Runtime) -> anyhow::Result<Self> {
        // Two significant digits, up to two minutes; a longer latency counts as two minutes.
        let latencies: Histogram<u64> = Histogram::new_with_bounds(1, 120_000_000, 2)?;
        let group = || Group { responses: BTreeMap::new(), latencies: Histogram::new_from(&latencies) };
        let record = Record {
            seconds: Vec::new(),
            buyers: group(),
            viewers: group(),
            late: 0,
            attempts: Vec::new(),
            stock_min: None,
            stock_polls: 0,
        };
        Ok(Self { began, runtime: runtime.clone(), late_after, record: Arc::new(Mutex::new(record)) })
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.runtime.instant().saturating_duration_since(self.began)
    }

    pub(super) fn record(&self, sample: Sample) {
        let Sample { due, sent, ended, class, attempt } = sample;
        let latency = u64::try_from(ended.saturating_sub(due).as_micros()).unwrap_or(u64::MAX);
        let mut record = self.lock();
        record.second(due).due += 1;
        record.second(sent).sent += 1;
        let second = record.second(ended);
        add(&mut second.responses, &mut second.latencies, class, latency);
        let group = if attempt.is_some() { &mut record.buyers } else { &mut record.viewers };
        add(&mut group.responses, &mut group.latencies, class, latency);
        record.late += u64::from(sent.saturating_sub(due) > self.late_after);
        record.attempts.extend(attempt);
    }

    /// Adds a line to the history alone.
    pub(super) fn record_history(&self, attempt: Attempt) {
        self.lock().attempts.push(attempt);
    }

    pub(super) fn record_stock(&self, stock: i64) {
        let now = self.elapsed();
        let mut record = self.lock();
        record.second(now).stock = Some(stock);
        record.stock_min = Some(record.stock_min.map_or(stock, |least| least.min(stock)));
        record.stock_polls += 1;
    }

    pub(super) fn record_rows(&self, rows: u64) {
        let now = self.elapsed();
        self.lock().second(now).rows = Some(rows);
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.lock())
    }

    pub(super) fn take_attempts(&self) -> Vec<Attempt> {
        std::mem::take(&mut self.lock().attempts)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An abandoned request has no latency.
fn add(responses: &mut Responses, latencies: &mut Histogram<u64>, class: ResponseClass, latency: u64) {
    *responses.entry(class).or_default() += 1;
    if class != ResponseClass::Abandoned {
        latencies.saturating_record(latency);
    }
}

impl Record {
    /// Everything after this many seconds counts to the last one.
    const SECONDS_MAX: usize = 2 * 3_600;

    fn second(&mut self, at: Duration) -> &mut Second {
        let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(Self::SECONDS_MAX);
        if self.seconds.len() <= index {
            let latencies = &self.buyers.latencies;
            let empty = || Second {
                due: 0,
                sent: 0,
                responses: BTreeMap::new(),
                latencies: Histogram::new_from(latencies),
                stock: None,
                rows: None,
            };
            self.seconds.resize_with(index + 1, empty);
        }
        #[expect(clippy::indexing_slicing, reason = "the vector was resized to more than `index` above")]
        &mut self.seconds[index]
    }

    /// Of buyers and viewers together.
    pub(super) fn responses(&self) -> Responses {
        let mut all = self.buyers.responses.clone();
        for (class, number) in &self.viewers.responses {
            *all.entry(*class).or_default() += number;
        }
        all
    }

    /// Of buyers and viewers together.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        let mut all = self.buyers.latencies.clone();
        // Adding fails only for histograms of different bounds, and these have the same.
        let _ = all.add(&self.viewers.latencies);
        all
    }
}

impl Group {
    pub(super) fn ended(&self) -> u64 {
        self.responses.values().sum()
    }

    pub(super) fn count(&self, wanted: impl Fn(ResponseClass) -> bool) -> u64 {
        self.responses.iter().filter(|(class, _)| wanted(**class)).map(|(_, number)| number).sum()
    }
}

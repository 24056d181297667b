//! What has happened so far in a run: counts and latencies, second by second, and the history for the audit.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::told::Told;
use crate::audit::Attempt;

/// One request that has ended.
#[derive(Debug)]
pub(super) struct Sample {
    /// When it was due, after the beginning of the run. Latency counts from here.
    pub(super) due: Duration,
    /// When it was sent.
    pub(super) sent: Duration,
    /// When it had ended.
    pub(super) ended: Duration,
    /// What its sender was told.
    pub(super) told: Told,
    /// A purchase attempt, or a question about one, for the history.
    pub(super) attempt: Option<Attempt>,
}

/// One second of a run.
#[derive(Clone, Debug)]
pub(super) struct Second {
    /// Requests that have ended, by when they were due.
    pub(super) due: u64,
    /// The same, by when they were sent.
    pub(super) sent: u64,
    /// What was answered.
    pub(super) told: BTreeMap<Told, u64>,
    /// Latencies of what was answered, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Units left, as the API told at its end.
    pub(super) stock: Option<i64>,
    /// Rows in the ledger.
    pub(super) rows: Option<u64>,
}

/// What those were told who buy, or those who look.
#[derive(Debug)]
pub(super) struct Group {
    /// What was answered.
    pub(super) told: BTreeMap<Told, u64>,
    /// Latencies, in microseconds.
    pub(super) latencies: Histogram<u64>,
}

/// Everything that was recorded.
#[derive(Debug)]
pub(super) struct Record {
    /// Second by second.
    pub(super) seconds: Vec<Second>,
    /// Purchase attempts.
    pub(super) buyers: Group,
    /// The rest.
    pub(super) lookers: Group,
    /// Requests that were sent later than they may be.
    pub(super) late: u64,
    /// Purchase attempts and questions about them.
    pub(super) attempts: Vec<Attempt>,
    /// The lowest stock that the API has shown.
    pub(super) stock_min: Option<i64>,
    /// How often it was asked for it.
    pub(super) stock_looks: u64,
}

/// Shared by everything that sends.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    /// The beginning of the run.
    pub(super) began: Instant,
    late_after: Duration,
    record: Arc<Mutex<Record>>,
}

impl Recorder {
    /// A run that begins at `began`, possibly in the future.
    pub(super) fn new(began: Instant, late_after: Duration) -> anyhow::Result<Self> {
        // Latencies are told apart to two digits, up to two minutes; a longer one counts as two minutes.
        let latencies: Histogram<u64> = Histogram::new_with_bounds(1, 120_000_000, 2)?;
        let group = || Group { told: BTreeMap::new(), latencies: Histogram::new_from(&latencies) };
        let record = Record {
            seconds: Vec::new(),
            buyers: group(),
            lookers: group(),
            late: 0,
            attempts: Vec::new(),
            stock_min: None,
            stock_looks: 0,
        };
        Ok(Self { began, late_after, record: Arc::new(Mutex::new(record)) })
    }

    /// The time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes a request that has ended.
    pub(super) fn note(&self, sample: Sample) {
        let Sample { due, sent, ended, told, attempt } = sample;
        let latency = u64::try_from(ended.saturating_sub(due).as_micros()).unwrap_or(u64::MAX);
        let mut record = self.lock();
        record.second(due).due += 1;
        record.second(sent).sent += 1;
        let second = record.second(ended);
        *second.told.entry(told).or_default() += 1;
        // Whoever gave up has no latency.
        if told != Told::GivenUp {
            second.latencies.saturating_record(latency);
        }
        let group = if attempt.is_some() { &mut record.buyers } else { &mut record.lookers };
        *group.told.entry(told).or_default() += 1;
        if told != Told::GivenUp {
            group.latencies.saturating_record(latency);
        }
        record.late += u64::from(sent.saturating_sub(due) > self.late_after);
        record.attempts.extend(attempt);
    }

    /// Notes a question about a purchase, asked after the run.
    pub(super) fn note_question(&self, attempt: Attempt) {
        self.lock().attempts.push(attempt);
    }

    /// Notes how many units the API shows.
    pub(super) fn note_stock(&self, stock: i64) {
        let now = self.elapsed();
        let mut record = self.lock();
        record.second(now).stock = Some(stock);
        record.stock_min = Some(record.stock_min.map_or(stock, |least| least.min(stock)));
        record.stock_looks += 1;
    }

    /// Notes how many rows the ledger has.
    pub(super) fn note_rows(&self, rows: u64) {
        let now = self.elapsed();
        self.lock().second(now).rows = Some(rows);
    }

    /// Looks at the record.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.lock())
    }

    /// Takes the attempts out, for the audit.
    pub(super) fn take_attempts(&self) -> Vec<Attempt> {
        std::mem::take(&mut self.lock().attempts)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Most seconds of a run; what comes later counts to the last.
    const SECONDS_MAX: usize = 2 * 3_600;

    fn second(&mut self, at: Duration) -> &mut Second {
        let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(Self::SECONDS_MAX);
        if self.seconds.len() <= index {
            let latencies = &self.buyers.latencies;
            let empty = || Second {
                due: 0,
                sent: 0,
                told: BTreeMap::new(),
                latencies: Histogram::new_from(latencies),
                stock: None,
                rows: None,
            };
            self.seconds.resize_with(index + 1, empty);
        }
        // It was made just now, if it was not there.
        #[expect(clippy::indexing_slicing, reason = "the line above has made it")]
        &mut self.seconds[index]
    }

    /// What was answered, to everybody.
    pub(super) fn told(&self) -> BTreeMap<Told, u64> {
        let mut all = self.buyers.told.clone();
        for (told, number) in &self.lookers.told {
            *all.entry(*told).or_default() += number;
        }
        all
    }

    /// The latencies of everybody.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        let mut all = self.buyers.latencies.clone();
        // Both were made with the same bounds.
        let _ = all.add(&self.lookers.latencies);
        all
    }
}

impl Group {
    /// How many requests have ended.
    pub(super) fn ended(&self) -> u64 {
        self.told.values().sum()
    }

    /// How many requests were told something of which this is true.
    pub(super) fn count(&self, wanted: impl Fn(Told) -> bool) -> u64 {
        self.told.iter().filter(|(told, _)| wanted(**told)).map(|(_, number)| number).sum()
    }
}

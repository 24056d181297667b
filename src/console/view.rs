//! How the page shows the members of a snapshot.

use std::time::Duration;

use chrono::DateTime;

use super::snapshot::{DependencyView, Percentiles, ProcessView, ProductView, Snapshot, Totals};
use crate::domain::{Conservation, Phase, countdown, grouped, latency};
use crate::http::pages::phase_key;
use crate::observability::{Attempt, readiness::Subject};

/// The conservation law of one product, or of all.
pub(super) struct Units<'page> {
    pub(super) law: &'page Conservation,
    adds_up: Option<bool>,
}

impl<'page> Units<'page> {
    fn new(law: Option<&'page Conservation>, adds_up: Option<bool>) -> Option<Self> {
        law.map(|law| Self { law, adds_up })
    }

    /// The key that the stylesheet knows.
    pub(super) fn holds(&self) -> &'static str {
        match self.adds_up {
            Some(true) => "true",
            Some(false) => "false",
            None => "unknown",
        }
    }

    pub(super) fn text(&self) -> &'static str {
        match self.adds_up {
            Some(true) => "✓ adds up",
            Some(false) => "✗ does not add up",
            None => "… to be counted again",
        }
    }

    /// Segments of a bar that is 1,000 wide: name, start and width.
    pub(super) fn segments(&self) -> Vec<(&'static str, u64, u64)> {
        let Conservation { total_stock, in_flight, recorded, dead_lettered, moving, .. } = self.law;
        let (total, mut start) = ((*total_stock).max(1), 0);
        let in_flight = in_flight.saturating_sub(*moving);
        let segments = [("ledger", *recorded), ("flight", in_flight), ("dead", *dead_lettered)];
        let segment = |(name, number): (&'static str, u64)| {
            let width = (number * 1_000).div_ceil(total).min(1_000 - start);
            let segment = (name, start, width);
            start += width;
            segment
        };
        segments.map(segment).into_iter().filter(|(_, _, width)| *width > 0).collect()
    }
}

impl Snapshot {
    pub(super) fn units(&self) -> Option<Units<'_>> {
        Units::new(self.conservation.as_ref(), self.adds_up)
    }

    pub(super) fn sold(&self) -> String {
        self.pace.sold.map_or("?".to_owned(), grouped)
    }

    pub(super) fn sold_per_s(&self) -> String {
        rate_text(self.pace.sold_per_s)
    }

    /// How all sales together are going to end, or to begin.
    pub(super) fn outlook(&self) -> String {
        let has = |phase| self.products.iter().any(|product| product.phase == Some(phase));
        let on_sale = self.products.iter().filter(|product| product.phase == Some(Phase::Active));
        let left: u64 = on_sale.filter_map(|product| product.remaining).map(u64::from).sum();
        let next = self.products.iter().filter(|product| product.phase == Some(Phase::Upcoming));
        let next = next.filter_map(|product| product.opens_at).min();
        match (self.pace.sold_out_in_ms, next) {
            (Some(millis), _) => format!("sold out in about {}", about(Duration::from_millis(millis))),
            _ if left > 0 => format!("{} left", grouped(left)),
            _ if has(Phase::Paused) => "paused".to_owned(),
            (None, Some(at)) => format!("opens in {}", countdown(until(at, self.at))),
            _ if has(Phase::SoldOut) => "sold out".to_owned(),
            _ if has(Phase::Ended) => "the sale is over".to_owned(),
            _ => "not ready".to_owned(),
        }
    }

    /// Those that are shown one by one: all but the sales that are ready.
    pub(super) fn dependencies_shown(&self) -> impl Iterator<Item = &DependencyView> {
        self.dependencies.iter().filter(|one| !is_ready_sale(one))
    }

    pub(super) fn sales_ready(&self) -> usize {
        self.dependencies.iter().filter(|one| is_ready_sale(one)).count()
    }

    /// When the stores were read.
    pub(super) fn read_at(&self) -> String {
        let at = DateTime::from_timestamp_millis(self.at).unwrap_or_default();
        at.format("%H:%M:%S UTC").to_string()
    }
}

fn is_ready_sale(dependency: &DependencyView) -> bool {
    dependency.subject == Subject::Sale && dependency.outages.is_empty()
}

/// Both in milliseconds since 1970.
pub(super) fn until(at: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(at - now).unwrap_or(0))
}

/// In one unit, as exact as a forecast is.
fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{} s", seconds.max(1)),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1_800) / 3_600),
    }
}

impl ProductView {
    pub(super) fn units(&self) -> Option<Units<'_>> {
        Units::new(self.conservation.as_ref(), self.adds_up)
    }

    pub(super) fn phase_key(&self) -> &'static str {
        phase_key(self.phase)
    }

    pub(super) fn outbox_age(&self) -> String {
        match self.outbox_age_ms {
            None => "?".to_owned(),
            Some(0) => "–".to_owned(),
            #[expect(clippy::cast_precision_loss, reason = "an age in milliseconds, far below 2^52")]
            Some(millis) => duration_text(millis as f64),
        }
    }
}

impl Totals {
    /// Attempts by outcome: text, a second, since the start. Outcomes that never
    /// occurred are left out.
    pub(super) fn rows(&self) -> Vec<(&'static str, String, String)> {
        let row = |(attempt, text): &(Attempt, &'static str)| {
            let per_s = self.attempts_per_s.get(attempt).copied().unwrap_or(0.0);
            let number = self.attempts.get(attempt).copied().filter(|number| *number > 0)?;
            Some((*text, rate_text(per_s), grouped(number)))
        };
        ATTEMPTS.iter().filter_map(row).collect()
    }

    pub(super) fn sold_per_s(&self) -> f64 {
        self.attempts_per_s.get(&Attempt::Success).copied().unwrap_or(0.0)
    }

    /// From a request to its answer.
    pub(super) fn p95(&self) -> String {
        self.answer.p95_ms.map_or("–".to_owned(), duration_text)
    }

    pub(super) fn per_s(&self) -> String {
        rate_text(self.attempts_per_s.values().sum())
    }

    /// Durations: what is timed, and three percentiles. What never occurred is left out.
    pub(super) fn times(&self) -> Vec<(&'static str, [String; 3])> {
        let texts = |Percentiles { p50_ms, p95_ms, p99_ms, .. }: &Percentiles| {
            [p50_ms, p95_ms, p99_ms].map(|millis| millis.map_or("–".to_owned(), duration_text))
        };
        let all =
            [("Admission", &self.admission), ("Answer", &self.answer), ("SUCCESS to row", &self.recording)];
        let timed = all.into_iter().filter(|(_, percentiles)| percentiles.number > 0);
        timed.map(|(name, percentiles)| (name, texts(percentiles))).collect()
    }
}

const ATTEMPTS: [(Attempt, &str); 8] = [
    (Attempt::Success, "Success"),
    (Attempt::Purchased, "Already purchased"),
    (Attempt::SoldOut, "Sold out"),
    (Attempt::Upcoming, "Not open yet"),
    (Attempt::Ended, "Ended"),
    (Attempt::Paused, "Paused"),
    (Attempt::NotReady, "Not ready (503)"),
    (Attempt::Unknown, "Unknown (503)"),
];

impl ProcessView {
    pub(super) fn attempts(&self) -> String {
        rate_text(self.attempts_per_s)
    }
}

pub(super) fn rate_text(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below 2^52")]
    grouped(number.round() as u64)
}

fn duration_text(millis: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration, far below 2^52")]
    latency((millis * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_as_exact_as_it_can_be() {
        for (seconds, text) in [(0, "1 s"), (15, "15 s"), (119, "119 s"), (185, "3 min"), (7_300, "2 h")] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn what_is_short_is_shown_in_microseconds() {
        assert_eq!((duration_text(0.004), duration_text(0.35)), ("4 µs".to_owned(), "350 µs".to_owned()));
    }
}

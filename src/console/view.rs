//! How the page shows the members of a snapshot.

use chrono::{DateTime, Utc};

use super::snapshot::{EventView, Percentiles, ProcessView, ProductView, Snapshot, Totals};
use crate::domain::Conservation;
use crate::http::pages::{grouped, phase_key, phase_text, rfc3339};
use crate::observability::{Attempt, EventKind, Severity};

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
}

impl ProductView {
    pub(super) fn units(&self) -> Option<Units<'_>> {
        Units::new(self.conservation.as_ref(), self.adds_up)
    }

    pub(super) fn badge(&self) -> &'static str {
        phase_text(self.phase)
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
    /// Attempts by outcome: text, a second, since the start.
    pub(super) fn rows(&self) -> Vec<(&'static str, String, String)> {
        ATTEMPTS
            .iter()
            .map(|(attempt, text)| {
                let per_s = self.attempts_per_s.get(attempt).copied().unwrap_or(0.0);
                let number = self.attempts.get(attempt).copied().unwrap_or(0);
                (*text, rate_text(per_s), grouped(number))
            })
            .collect()
    }

    pub(super) fn per_s(&self) -> String {
        rate_text(self.attempts_per_s.values().sum())
    }

    /// Durations: what is timed, and three percentiles.
    pub(super) fn times(&self) -> [(&'static str, [String; 3]); 3] {
        let texts = |Percentiles { p50_ms, p95_ms, p99_ms, .. }: &Percentiles| {
            [p50_ms, p95_ms, p99_ms].map(|millis| millis.map_or("–".to_owned(), duration_text))
        };
        [
            ("Admission", texts(&self.admission)),
            ("Answer", texts(&self.answer)),
            ("SUCCESS to row", texts(&self.recording)),
        ]
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

impl EventView {
    fn instant(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.at).unwrap_or_default()
    }

    pub(super) fn time(&self) -> String {
        rfc3339(self.instant())
    }

    pub(super) fn time_of_day(&self) -> String {
        self.instant().format("%H:%M:%S").to_string()
    }

    pub(super) fn title(&self) -> &'static str {
        title(self.kind).0
    }

    pub(super) fn severity(&self) -> Severity {
        title(self.kind).1
    }
}

fn title(kind: EventKind) -> (&'static str, Severity) {
    use Severity::{Error, Info, Warning};
    match kind {
        EventKind::Opened => ("Opened", Info),
        EventKind::SoldOut => ("Sold out", Info),
        EventKind::Paused => ("Paused", Warning),
        EventKind::Resumed => ("Resumed", Info),
        EventKind::OnSaleAgain => ("On sale again", Info),
        EventKind::Ended => ("Ended", Info),
        EventKind::OutageBegan => ("Outage began", Error),
        EventKind::OutageEnded => ("Outage ended", Info),
        EventKind::RebuildBegan => ("Rebuild began", Warning),
        EventKind::RebuildEnded => ("Rebuild ended", Info),
        EventKind::DeadLetter => ("Dead letter", Error),
        EventKind::LawBroken => ("Units do not add up", Error),
        EventKind::LawHolds => ("Units add up again", Info),
        EventKind::ProcessJoined => ("Process up", Info),
        EventKind::ProcessLeft => ("Process ended", Info),
        EventKind::ProcessLost => ("Process silent", Error),
        EventKind::Other => ("Event of another version", Warning),
    }
}

fn rate_text(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below 2^52")]
    grouped(number.round() as u64)
}

fn duration_text(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{millis:.2} ms"),
        1.0..10.0 => format!("{millis:.1} ms"),
        10.0..1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

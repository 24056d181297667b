//! The operations console: the evening at a glance, for operators. It changes nothing.

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Query},
};
use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::console::verdict::Verdict;
use crate::console::{
    ControlRoom, EventView, History, Percentiles, ProcessView, ProductView, Snapshot, Totals,
};
use crate::domain::Conservation;
use crate::observability::{Attempt, EventKind};
use crate::shop::{
    Web, pages, safety,
    words::{self, grouped},
};

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage<'page> {
    snapshot: &'page Snapshot,
    verdict: Verdict,
}

/// Everything the page shows of units.
struct Units<'page> {
    law: &'page Conservation,
    adds_up: Option<bool>,
}

impl Units<'_> {
    /// For the stylesheet: whether it is green.
    fn holds(&self) -> &'static str {
        match self.adds_up {
            Some(true) => "true",
            Some(false) => "false",
            None => "unknown",
        }
    }

    fn word(&self) -> &'static str {
        match self.adds_up {
            Some(true) => "✓ adds up",
            Some(false) => "✗ does not add up",
            None => "… to be counted again",
        }
    }

    /// Parts of a bar that is 1,000 wide: name, start and width.
    fn parts(&self) -> Vec<(&'static str, u64, u64)> {
        let Conservation { total_stock, in_flight, recorded, dead_lettered, .. } = self.law;
        let (total, mut start) = ((*total_stock).max(1), 0);
        // What moves is counted once.
        let in_flight = in_flight.saturating_sub(self.law.moving);
        let parts = [("ledger", *recorded), ("flight", in_flight), ("dead", *dead_lettered)];
        let part = |(name, number): (&'static str, u64)| {
            let width = (number * 1_000).div_ceil(total).min(1_000 - start);
            let part = (name, start, width);
            start += width;
            part
        };
        parts.map(part).into_iter().filter(|(_, _, width)| *width > 0).collect()
    }
}

impl Snapshot {
    fn units(&self) -> Option<Units<'_>> {
        Some(Units { law: self.conservation.as_ref()?, adds_up: self.adds_up })
    }
}

impl ProductView {
    fn units(&self) -> Option<Units<'_>> {
        Some(Units { law: self.conservation.as_ref()?, adds_up: self.adds_up })
    }

    fn badge(&self) -> &'static str {
        words::of(self.phase_name())
    }

    fn phase_name(&self) -> &'static str {
        self.phase.map_or(words::NOT_READY, pages::phase_name)
    }

    fn outbox_age(&self) -> String {
        match self.outbox_age_ms {
            None => "?".to_owned(),
            Some(0) => "–".to_owned(),
            Some(millis) => shown_millis(millis_as_float(millis)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an age in milliseconds, far below 2^52")]
fn millis_as_float(millis: u64) -> f64 {
    millis as f64
}

impl Totals {
    /// Attempts by what became of them: word, a second, since the start.
    fn rows(&self) -> Vec<(&'static str, String, String)> {
        ATTEMPTS
            .iter()
            .map(|(attempt, word)| {
                let per_s = self.attempts_per_s.get(attempt).copied().unwrap_or(0.0);
                let number = self.attempts.get(attempt).copied().unwrap_or(0);
                (*word, whole(per_s), grouped(number))
            })
            .collect()
    }

    fn per_s(&self) -> String {
        whole(self.attempts_per_s.values().sum())
    }

    /// What is timed: name, and three percentiles.
    fn times(&self) -> [(&'static str, [String; 3]); 3] {
        let shown = |Percentiles { p50_ms, p95_ms, p99_ms, .. }: &Percentiles| {
            [p50_ms, p95_ms, p99_ms].map(|millis| millis.map_or("–".to_owned(), shown_millis))
        };
        [
            ("Admission", shown(&self.admission)),
            ("Answer", shown(&self.answer)),
            ("SUCCESS to row", shown(&self.recording)),
        ]
    }
}

const ATTEMPTS: [(Attempt, &str); 8] = [
    (Attempt::Success, "Success"),
    (Attempt::Purchased, "Already theirs"),
    (Attempt::SoldOut, "Sold out"),
    (Attempt::Upcoming, "Not open yet"),
    (Attempt::Ended, "Ended"),
    (Attempt::Paused, "Paused"),
    (Attempt::NotReady, "Not ready (503)"),
    (Attempt::Unknown, "Unknown (503)"),
];

impl ProcessView {
    fn attempts(&self) -> String {
        whole(self.attempts_per_s)
    }
}

impl EventView {
    fn time(&self) -> String {
        instant(self.at).to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    fn clock(&self) -> String {
        instant(self.at).format("%H:%M:%S").to_string()
    }

    fn word(&self) -> &'static str {
        event(self.kind).0
    }

    fn mood(&self) -> &'static str {
        event(self.kind).1
    }
}

fn event(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::Opened => ("Opened", "good"),
        EventKind::SoldOut => ("Sold out", "good"),
        EventKind::Paused => ("Paused", "warn"),
        EventKind::Resumed => ("Resumed", "good"),
        EventKind::OnSaleAgain => ("On sale again", "good"),
        EventKind::Ended => ("Ended", "good"),
        EventKind::OutageBegan => ("Outage began", "bad"),
        EventKind::OutageEnded => ("Outage ended", "good"),
        EventKind::RebuildBegan => ("Rebuild began", "warn"),
        EventKind::RebuildEnded => ("Rebuild ended", "good"),
        EventKind::DeadLetter => ("Dead letter", "bad"),
        EventKind::LawBroken => ("Units do not add up", "bad"),
        EventKind::LawHolds => ("Units add up again", "good"),
        EventKind::ProcessJoined => ("Process up", "good"),
        EventKind::ProcessLeft => ("Process ended", "good"),
        EventKind::ProcessLost => ("Process silent", "bad"),
        EventKind::Other => ("Event of another version", "warn"),
    }
}

fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn whole(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below 2^52")]
    grouped(number.round() as u64)
}

fn shown_millis(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{millis:.2} ms"),
        1.0..10.0 => format!("{millis:.1} ms"),
        10.0..1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

/// `GET /console`
pub(crate) async fn page(room: Data<ControlRoom>) -> HttpResponse {
    let snapshot = room.snapshot();
    let verdict = Verdict::of(&snapshot, room.clock().now().timestamp_millis());
    pages::render(StatusCode::OK, &ConsolePage { snapshot: &snapshot, verdict })
}

/// `/console` of the shop, which does not have it: leads whoever sits at this machine to where it is.
pub(crate) async fn elsewhere(web: Data<Web>, request: HttpRequest) -> HttpResponse {
    match web.console_addr.filter(|_| safety::is_at_this_machine(&request)) {
        Some(addr) => {
            let host = if addr.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { addr.ip() };
            let addr = SocketAddr::new(host, addr.port());
            pages::see_other(&format!("http://{addr}{}", request.uri()))
        }
        None => pages::not_found().await,
    }
}

/// From when on the history is wanted.
#[derive(Deserialize)]
pub(crate) struct Since {
    since: Option<i64>,
}

/// The snapshot with its history, as it is documented in docs/CONSOLE.md.
#[derive(Serialize)]
struct Document<'look> {
    #[serde(flatten)]
    snapshot: &'look Snapshot,
    history: History,
}

/// `GET /console/snapshot`
pub(crate) async fn snapshot(room: Data<ControlRoom>, wanted: Query<Since>) -> HttpResponse {
    let (snapshot, history) = room.since(wanted.since.unwrap_or(i64::MIN));
    let document = Document { snapshot: &snapshot, history };
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(document)
}

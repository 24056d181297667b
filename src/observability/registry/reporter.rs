//! Posts this process's report, once a second.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Noticeboard, Report, Role,
    report::{AllCounted, Counted},
};
use crate::observability::readiness::Readiness;
use crate::observability::{Counts, EventKind, Telemetry};

const INTERVAL: Duration = Duration::from_secs(1);
/// The end of a process does not wait longer for this.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Posts this process's report.
#[derive(Debug)]
pub struct Reporter {
    noticeboard: Noticeboard,
    readiness: Readiness,
    telemetry: Telemetry,
    /// Who this is: everything that does not change.
    report: Report,
    counted: AllCounted,
    ledger_is_away: bool,
}

impl Reporter {
    /// For a process of this role. Its products are those of `readiness`.
    pub fn new(role: Role, noticeboard: Noticeboard, readiness: Readiness, telemetry: Telemetry) -> Self {
        let now = telemetry.clock().now();
        let report = Report {
            id: format!("{:016x}", fastrand::u64(..)),
            role,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now.timestamp_millis(),
            left: false,
            checks: Vec::new(),
            products: std::collections::BTreeMap::new(),
            events: Vec::new(),
        };
        let counted =
            readiness.catalogue.ids().map(|product| (product.clone(), Counted::default())).collect();
        Self { noticeboard, readiness, telemetry, report, counted, ledger_is_away: false }
    }

    /// Posts until `stop`, and then says goodbye.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            let turn = async {
                turns.tick().await;
                self.turn(&mut last).await;
            };
            tokio::select! {
                () = turn => {}
                () = stop.cancelled() => break,
            }
        }
        // So that nobody misses it; what happened to it stays to be read.
        self.report.left = true;
        self.report.events = self.telemetry.events.latest();
        self.report.products.clear();
        self.report.checks.clear();
        if timeout(GOODBYE_MAX, self.post()).await.is_err() {
            tracing::debug!("no goodbye was said: it is missed");
        }
    }

    async fn turn(&mut self, last: &mut Instant) {
        self.report.checks = self.readiness.check().await.into_iter().map(Into::into).collect();
        self.note_ledger();
        self.report.events = self.telemetry.events.latest();
        // Counted last, so that nothing that is slow makes a second longer than it says.
        let seconds = last.elapsed().as_secs_f64().max(0.001);
        *last = Instant::now();
        self.count(self.telemetry.meter.take(), seconds);
        self.post().await;
    }

    async fn post(&self) {
        if let Err(error) = self.noticeboard.post(&self.report).await {
            tracing::debug!(%error, "this process's report is not posted");
        }
    }

    /// Notes the outages of the ledger, which has no connection of its own that could be lost.
    fn note_ledger(&mut self) {
        let name = self.readiness.ledger.name();
        let outage = self.report.checks.iter().find(|check| check.name == name);
        let outage = outage.and_then(|check| check.outage.clone());
        let events = &self.telemetry.events;
        match (&outage, self.ledger_is_away) {
            (Some(reason), false) => events.note(EventKind::OutageBegan, name, reason.as_str()),
            (None, true) => events.note(EventKind::OutageEnded, name, ""),
            _ => {}
        }
        self.ledger_is_away = outage.is_some();
    }

    fn count(&mut self, mut counts: Counts, seconds: f64) {
        for (product, counted) in &mut self.counted {
            counted.add(counts.remove(product).unwrap_or_default());
            self.report.products.insert(product.to_string(), counted.window(seconds));
        }
    }
}

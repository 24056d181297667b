//! How the page shows events.

use chrono::{DateTime, Utc};

use super::snapshot::EventView;
use crate::http::pages::rfc3339;
use crate::observability::{EventKind, Severity};

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

//! Texts that shop and operations console have in common.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::domain::Phase;

/// The key of a sale that can't be read at the moment, beside the names of phases.
const NOT_READY: &str = "NOT_READY";

/// A phase as stylesheets, scripts and events name it. `None`: the sale can't be read.
pub(crate) fn phase_key(phase: Option<Phase>) -> &'static str {
    phase.map_or(NOT_READY, Phase::as_str)
}

/// A phase as people read it.
pub(crate) fn phase_text(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Upcoming) => "Coming soon",
        Some(Phase::Active) => "Live now",
        Some(Phase::SoldOut) => "Sold out",
        Some(Phase::Ended) => "The sale has ended",
        Some(Phase::Paused) => "Paused for a moment",
        None => "Getting ready",
    }
}

/// An instant for a `<time>` element. Scripts replace the text by the reader's local time.
pub(crate) struct Moment {
    pub(crate) iso: String,
    /// In UTC, and says so.
    pub(crate) text: String,
}

impl From<DateTime<Utc>> for Moment {
    fn from(instant: DateTime<Utc>) -> Self {
        Self { iso: rfc3339(instant), text: instant.format("%-d %B %Y, %H:%M UTC").to_string() }
    }
}

pub(crate) fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_names_date_time_and_zone() {
        let moment = Moment::from(DateTime::from_timestamp(4_102_444_740, 0).unwrap());
        assert_eq!(
            (moment.iso.as_str(), moment.text.as_str()),
            ("2099-12-31T23:59:00Z", "31 December 2099, 23:59 UTC")
        );
    }
}

//! The terms of a sale, and the phase that follows from them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{EntryId, Phase, grouped};

/// Most units one sale can have. Units are 32-bit integers in the ledger, and every buyer
/// costs memory in admission.
pub const TOTAL_STOCK_MAX: u32 = 100_000_000;

/// What an operator decides about a sale, and may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Units in the sale.
    pub total_stock: u32,
    /// When it opens; `None`: it is open.
    pub opens_at: Option<DateTime<Utc>>,
    /// When it closes (the first instant after it); `None`: never.
    pub closes_at: Option<DateTime<Utc>>,
    /// Stopped by the operator.
    pub paused: bool,
}

impl Terms {
    /// The phase at `now` with `remaining` units left. A pause outranks the window, and the window
    /// the stock: the order in which admission refuses.
    pub fn phase(&self, now: DateTime<Utc>, remaining: u32) -> Phase {
        if self.paused {
            Phase::Paused
        } else if self.opens_at.is_some_and(|opens_at| now < opens_at) {
            Phase::Upcoming
        } else if self.closes_at.is_some_and(|closes_at| now >= closes_at) {
            Phase::Ended
        } else if remaining == 0 {
            Phase::SoldOut
        } else {
            Phase::Active
        }
    }
}

/// For the log: `300 units, open, closes 2027-01-01T12:00:00Z, paused`.
impl fmt::Display for Terms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(out, "{} units, ", grouped(self.total_stock))?;
        match self.opens_at {
            Some(at) => write!(out, "opens {}, ", time(at))?,
            None => write!(out, "open, ")?,
        }
        match self.closes_at {
            Some(at) => write!(out, "closes {}", time(at))?,
            None => write!(out, "never closes")?,
        }
        if self.paused { write!(out, ", paused") } else { Ok(()) }
    }
}

/// A sale as admission sees it at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleState {
    /// Which incarnation of the sale's admission state this is.
    pub epoch: u64,
    /// The terms it runs on.
    pub terms: Terms,
    /// Units handed out from the range; the next fresh unit is `next + 1`.
    pub next: u32,
    /// Units that nobody has.
    pub remaining: u32,
    /// Purchases that are admitted and not yet in the ledger.
    pub in_flight: u64,
    /// Purchases that are dead-lettered: in neither.
    pub dead: u64,
    /// The newest entry of the outbox.
    pub newest: Option<EntryId>,
    /// The instant, by admission's clock.
    pub now: DateTime<Utc>,
}

/// An entry of this time in the future was made by a clock that was wrong.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

impl SaleState {
    /// How far an entry's time is ahead of admission's clock, where that is no rounding: the clock
    /// was ahead when the entry was made, so that the age of the entry is not known.
    pub fn ahead(&self, entry: EntryId) -> Option<TimeDelta> {
        Some(entry.admitted_at() - self.now).filter(|ahead| *ahead > CLOCK_TOLERANCE)
    }

    /// Where the sale stands.
    pub fn phase(&self) -> Phase {
        self.terms.phase(self.now, self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_includes_its_start_and_excludes_its_end() {
        let opens_at = DateTime::from_timestamp_millis(1_000_000).unwrap();
        let closes_at = opens_at + TimeDelta::seconds(10);
        let terms =
            Terms { total_stock: 5, opens_at: Some(opens_at), closes_at: Some(closes_at), paused: false };
        let moment = TimeDelta::milliseconds(1);
        assert_eq!(terms.phase(opens_at - moment, 5), Phase::Upcoming);
        assert_eq!(terms.phase(opens_at, 5), Phase::Active);
        assert_eq!(terms.phase(closes_at - moment, 5), Phase::Active);
        assert_eq!(terms.phase(closes_at, 5), Phase::Ended);
        assert_eq!(terms.phase(opens_at, 0), Phase::SoldOut);
        assert_eq!(terms.phase(closes_at, 0), Phase::Ended);
        assert_eq!(Terms { paused: true, ..terms }.phase(closes_at, 0), Phase::Paused);
    }

    #[test]
    fn terms_are_text_for_people() {
        let opens_at = DateTime::from_timestamp_millis(4_102_444_800_000);
        let terms = Terms { total_stock: 12_300, opens_at, closes_at: None, paused: false };
        assert_eq!(terms.to_string(), "12,300 units, opens 2100-01-01T00:00:00Z, never closes");
        let terms = Terms { opens_at: None, closes_at: opens_at, paused: true, ..terms };
        assert_eq!(terms.to_string(), "12,300 units, open, closes 2100-01-01T00:00:00Z, paused");
    }
}

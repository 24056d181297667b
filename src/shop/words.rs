//! What the shop says.

use std::collections::BTreeMap;

use crate::domain::{Outcome, Phase, PurchaseState};

/// The phase of a sale that can't be read at the moment.
pub(crate) const NOT_READY: &str = "NOT_READY";

/// A phase's name in pages, scripts and events.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Upcoming => "UPCOMING",
        Phase::Active => "ACTIVE",
        Phase::SoldOut => "SOLD_OUT",
        Phase::Ended => "ENDED",
        Phase::Paused => "PAUSED",
    }
}

/// Words by name, for pages and for scripts.
const WORDS: [(&str, &str); 16] = [
    ("UPCOMING", "Coming soon"),
    ("ACTIVE", "Live now"),
    ("SOLD_OUT", "Sold out"),
    ("ENDED", "The sale has ended"),
    ("PAUSED", "Paused for a moment"),
    (NOT_READY, "Getting ready"),
    ("BUTTON_UPCOMING", "Not open yet"),
    ("BUTTON_ACTIVE", "Buy"),
    ("BUTTON_SOLD_OUT", "Sold out"),
    ("BUTTON_ENDED", "Ended"),
    ("BUTTON_PAUSED", "Paused"),
    ("BUTTON_NOT_READY", "One moment"),
    ("BUYING", "Buying…"),
    ("OPENS_IN", "Opens in"),
    ("ENDS_IN", "Ends in"),
    ("LOST", "The connection is lost. Try again: you can't get two."),
];

const OF_LINKS: [(&str, &str); 3] =
    [("RECEIPT", "See your receipt"), ("LIVE", "Live"), ("RECONNECTING", "Connection lost, trying again…")];

/// A phase, for people.
pub(crate) fn of(phase: &str) -> &'static str {
    word(phase)
}

/// What the button says in a phase.
pub(crate) fn button(phase: &str) -> &'static str {
    word(&format!("BUTTON_{phase}"))
}

fn word(name: &str) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == name).map_or("", |(_, word)| word)
}

/// All of them, for scripts.
pub(crate) fn json() -> String {
    let all: BTreeMap<_, _> = WORDS.into_iter().chain(OF_LINKS).collect();
    serde_json::to_string(&all).unwrap_or_default() // text serialises
}

/// Why there is nothing to be had, for people, and the mood of it.
pub(crate) fn refusal(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::SoldOut => ("Sorry, it is sold out.", "bad"),
        Outcome::Upcoming => ("It is not open yet.", "wait"),
        Outcome::Ended => ("The sale has ended.", "bad"),
        Outcome::Paused => ("The sale is paused. Try again in a moment.", "wait"),
        Outcome::Success | Outcome::Purchased => ("It is yours.", "good"),
    }
}

/// A purchase's state, for people: a word, and a sentence.
pub(crate) fn state(state: PurchaseState) -> (&'static str, &'static str) {
    match state {
        PurchaseState::Pending => {
            ("Pending", "It is yours, and on its way into our books. This page tells when it is there.")
        }
        PurchaseState::Confirmed => {
            ("Confirmed", "It is in our books. Keep this page's address as your receipt.")
        }
        PurchaseState::Revoked => ("Taken back", ""),
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        for (number, text) in
            [(0_u32, "0"), (999, "999"), (1_000, "1,000"), (10_000, "10,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn every_phase_has_words_for_badge_and_button() {
        let phases = [Phase::Upcoming, Phase::Active, Phase::SoldOut, Phase::Ended, Phase::Paused];
        for name in phases.map(phase_name).into_iter().chain([NOT_READY]) {
            assert!(!of(name).is_empty() && !button(name).is_empty(), "{name}");
        }
    }
}

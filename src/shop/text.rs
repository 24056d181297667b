//! Texts of the shop.

use std::collections::BTreeMap;

use crate::{
    domain::{Outcome, Phase, PurchaseState, Revocation, UserId},
    http::pages::{Numbers, phase_key, phase_text},
    observability::Severity,
};

const PHASES: [Option<Phase>; 6] = [
    Some(Phase::Upcoming),
    Some(Phase::Active),
    Some(Phase::SoldOut),
    Some(Phase::Ended),
    Some(Phase::Paused),
    None,
];

pub(super) const YOURS: &str = "It's yours.";
pub(super) const YOURS_ALREADY: &str = "You already have one.";

/// What is wrong with an id.
pub(super) const FIELD_EMPTY: &str = "Enter your email or user id.";
pub(super) const FIELD_LONG: &str = "Use at most 128 characters.";
pub(super) const FIELD_SIGNS: &str = "Use letters, digits and signs, no spaces.";

/// The keys of `assets/shop.js` and `assets/feed.js`.
const FOR_SCRIPTS: [(&str, &str); 18] = [
    ("BUYING", "Buying…"),
    ("RETRY", "Try again"),
    ("SLOW", "This takes longer than usual. Keep this page open."),
    ("LOST", "The connection is lost. Try again: you can't get two."),
    ("TIMEOUT", "There was no answer in time. You may have one or not. Try again: you can't get two."),
    // What a proxy in front of the shop answers; `{status}` is the number.
    ("HTTP_403", "A server in front of the shop refused this (403). Nothing was bought."),
    ("HTTP_413", "A server in front of the shop found this too large (413). Nothing was bought."),
    ("HTTP_429", "Too many requests from here (429). Wait a moment and try again: you can't get two."),
    ("HTTP_UNREACHABLE", "The shop can't be reached at the moment ({status}). Try again: you can't get two."),
    (
        "HTTP_OTHER",
        "A server in front of the shop answered with an error ({status}). Try again: you can't get two.",
    ),
    ("FIELD_EMPTY", FIELD_EMPTY),
    ("FIELD_LONG", FIELD_LONG),
    ("FIELD_SIGNS", FIELD_SIGNS),
    ("LIVE", "Live"),
    ("POLLING", "Updated every few seconds"),
    ("RECONNECTING", "Connection lost, trying again…"),
    ("LATE", "No answer in time, trying again…"),
    ("REFUSED", "No updates at the moment ({status}), trying again…"),
];

pub(super) fn button(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Upcoming) => "Not open yet",
        Some(Phase::Active) => "Buy",
        Some(Phase::SoldOut) => "Sold out",
        Some(Phase::Ended) => "Ended",
        Some(Phase::Paused) => "Paused",
        None => "One moment",
    }
}

/// What is said instead of the form when nothing can be bought any more.
pub(super) fn over(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::SoldOut) => "All units are sold.",
        Some(Phase::Ended) => "The sale is over.",
        _ => "",
    }
}

/// Why the form can't be sent at the moment.
pub(super) fn waiting(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Paused) => "The sale is paused for a moment.",
        None => "The sale is getting ready.",
        _ => "",
    }
}

/// A purchase that was revoked or cancelled.
pub(super) fn revoked(user: &UserId, revocation: &Revocation) -> String {
    let (word, _) = state(revocation.state);
    format!("The purchase of {user} was {}. {}", word.to_lowercase(), revocation.reason)
}

/// All texts that scripts need, as a JSON object: phases by their key, buttons, and what is
/// said instead of one, by that key with a prefix.
pub(super) fn json() -> String {
    let phases = PHASES.iter().map(|phase| (phase_key(*phase).to_owned(), phase_text(*phase)));
    let buttons = PHASES.iter().map(|phase| (format!("BUTTON_{}", phase_key(*phase)), button(*phase)));
    let over = PHASES.iter().map(|phase| (format!("OVER_{}", phase_key(*phase)), over(*phase)));
    let waiting = PHASES.iter().map(|phase| (format!("WAITING_{}", phase_key(*phase)), waiting(*phase)));
    let others = FOR_SCRIPTS.iter().map(|(key, text)| ((*key).to_owned(), *text));
    let all: BTreeMap<_, _> = phases.chain(buttons).chain(over).chain(waiting).chain(others).collect();
    serde_json::to_string(&all).unwrap_or_default() // text serialises
}

pub(super) fn refusal(outcome: Outcome) -> (Severity, &'static str) {
    match outcome {
        Outcome::SoldOut => (Severity::Error, "Sorry, it is sold out."),
        Outcome::Upcoming => (Severity::Warning, "It is not open yet."),
        Outcome::Ended => (Severity::Error, "The sale has ended."),
        Outcome::Paused => (Severity::Warning, "The sale is paused. Try again in a moment."),
        Outcome::Success | Outcome::Purchased => (Severity::Info, YOURS),
    }
}

/// The number of a unit, and of how many. A total below it is older than the unit, and is left out;
/// a purchase that was imported has no number.
pub(super) fn number_of(numbers: &Numbers, unit: u32, total: u32) -> (String, String) {
    if unit == 0 {
        return <(String, String)>::default();
    }
    let of = if unit > total { String::new() } else { format!("of {}", numbers.number(total)) };
    (format!("No. {}", numbers.number(unit)), of)
}

/// Blank lines separate paragraphs; each has its own direction.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let (mut paragraphs, mut goes_on) = (Vec::<String>::new(), false);
    for line in text.lines().map(str::trim_end) {
        match paragraphs.last_mut().filter(|_| goes_on) {
            _ if line.is_empty() => {}
            Some(paragraph) => paragraph.extend(["\n", line]),
            None => paragraphs.push(line.to_owned()),
        }
        goes_on = !line.is_empty();
    }
    paragraphs
}

/// A state of a purchase: a word, and a sentence. A revocation and a cancellation have a reason of
/// their own instead of the sentence.
pub(super) fn state(state: PurchaseState) -> (&'static str, &'static str) {
    match state {
        PurchaseState::Pending => {
            ("Pending", "It is yours, and is being recorded. This page shows when that is done.")
        }
        PurchaseState::Confirmed => {
            ("Confirmed", "It is recorded. Keep this page's address as your receipt.")
        }
        PurchaseState::Revoked => ("Revoked", ""),
        PurchaseState::Cancelled => ("Cancelled", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_unit_is_numbered_above_the_total() {
        let numbers = Numbers::of("");
        assert_eq!(number_of(&numbers, 3, 1_200), ("No. 3".to_owned(), "of 1,200".to_owned()));
        assert_eq!(number_of(&numbers, 6, 3), ("No. 6".to_owned(), String::new()));
        assert_eq!(number_of(&numbers, 0, 3), (String::new(), String::new()));
    }

    #[test]
    fn blank_lines_separate_paragraphs() {
        assert_eq!(paragraphs("\n one\r\ntwo  \n \n\n\nthree\n"), [" one\ntwo", "three"]);
        assert_eq!(paragraphs(" \n"), [""; 0]);
    }

    #[test]
    fn scripts_get_a_badge_and_a_button_for_every_phase() {
        let texts: BTreeMap<String, String> = serde_json::from_str(&json()).unwrap();
        for key in ["UPCOMING", "ACTIVE", "SOLD_OUT", "ENDED", "PAUSED", "NOT_READY"] {
            for key in [key.to_owned(), format!("BUTTON_{key}")] {
                assert!(texts.get(&key).is_some_and(|text| !text.is_empty()), "{key}");
            }
        }
    }
}

//! Texts of the shop.

use std::collections::BTreeMap;

use crate::{
    domain::{Outcome, Phase, PurchaseState},
    http::pages::{phase_key, phase_text},
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

const FOR_SCRIPTS: [(&str, &str); 7] = [
    ("BUYING", "Buying…"),
    ("OPENS_IN", "Opens in"),
    ("ENDS_IN", "Ends in"),
    ("LOST", "The connection is lost. Try again: you can't get two."),
    ("RECEIPT", "See your receipt"),
    ("LIVE", "Live"),
    ("RECONNECTING", "Connection lost, trying again…"),
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

/// All texts that scripts need, as a JSON object: phases by their key, buttons by
/// `BUTTON_` and that key.
pub(super) fn json() -> String {
    let phases = PHASES.iter().map(|phase| (phase_key(*phase).to_owned(), phase_text(*phase)));
    let buttons = PHASES.iter().map(|phase| (format!("BUTTON_{}", phase_key(*phase)), button(*phase)));
    let others = FOR_SCRIPTS.iter().map(|(key, text)| ((*key).to_owned(), *text));
    let all: BTreeMap<_, _> = phases.chain(buttons).chain(others).collect();
    serde_json::to_string(&all).unwrap_or_default() // text serialises
}

pub(super) fn refusal(outcome: Outcome) -> (Severity, &'static str) {
    match outcome {
        Outcome::SoldOut => (Severity::Error, "Sorry, it is sold out."),
        Outcome::Upcoming => (Severity::Warning, "It is not open yet."),
        Outcome::Ended => (Severity::Error, "The sale has ended."),
        Outcome::Paused => (Severity::Warning, "The sale is paused. Try again in a moment."),
        Outcome::Success | Outcome::Purchased => (Severity::Info, "It is yours."),
    }
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
    fn scripts_get_a_badge_and_a_button_for_every_phase() {
        let texts: BTreeMap<String, String> = serde_json::from_str(&json()).unwrap();
        for key in ["UPCOMING", "ACTIVE", "SOLD_OUT", "ENDED", "PAUSED", "NOT_READY"] {
            for key in [key.to_owned(), format!("BUTTON_{key}")] {
                assert!(texts.get(&key).is_some_and(|text| !text.is_empty()), "{key}");
            }
        }
    }
}

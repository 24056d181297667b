//! What an answer tells a client: the outcome, and what goes into the history.

use serde_json::Value;

use crate::audit::{Answer, Kind};

/// What became of one request, as its sender saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told {
    /// SUCCESS
    Success,
    /// PURCHASED
    Purchased,
    /// `SOLD_OUT`
    SoldOut,
    /// UPCOMING
    Upcoming,
    /// ENDED
    Ended,
    /// PAUSED
    Paused,
    /// What somebody who looks wanted to see.
    Seen,
    /// 200, and not what an answer looks like.
    Malformed,
    /// 4xx
    Refused,
    /// 503: not ready, try again.
    NotReady,
    /// Any other 5xx.
    ServerError,
    /// No answer: a time-out, or the connection broke.
    NoAnswer,
    /// The sender did not wait for it.
    GivenUp,
}

impl Told {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Success,
        Self::Purchased,
        Self::SoldOut,
        Self::Upcoming,
        Self::Ended,
        Self::Paused,
        Self::Seen,
        Self::GivenUp,
        Self::Malformed,
        Self::Refused,
        Self::NotReady,
        Self::ServerError,
        Self::NoAnswer,
    ];

    /// Its name in tables and charts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Purchased => "PURCHASED",
            Self::SoldOut => "SOLD_OUT",
            Self::Upcoming => "UPCOMING",
            Self::Ended => "ENDED",
            Self::Paused => "PAUSED",
            Self::Seen => "seen",
            Self::GivenUp => "given up",
            Self::Malformed => "malformed answer",
            Self::Refused => "4xx",
            Self::NotReady => "503",
            Self::ServerError => "5xx",
            Self::NoAnswer => "no answer",
        }
    }

    /// Whether the sender got no proper answer although they waited for it.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Malformed | Self::Refused | Self::NotReady | Self::ServerError | Self::NoAnswer)
    }

    /// Whether the answer was 500 or above.
    pub fn is_server_error(self) -> bool {
        matches!(self, Self::NotReady | Self::ServerError)
    }
}

/// Reads the answer to a purchase attempt: its outcome, how much is known of its effect, and the answer for the history.
pub(super) fn of_attempt(status: u16, body: &[u8]) -> (Told, Kind, Option<Answer>) {
    match status {
        200 => {
            let answer: Option<Answer> = serde_json::from_slice(body).ok();
            let told = answer.as_ref().map_or(Told::Malformed, outcome);
            (told, Kind::Ok, answer)
        }
        503 if is_not_ready(body) => (Told::NotReady, Kind::Refused, None),
        503 => (Told::NotReady, Kind::Unknown, None),
        400..500 => (Told::Refused, Kind::Refused, None),
        _ => (Told::ServerError, Kind::Unknown, None),
    }
}

fn outcome(answer: &Answer) -> Told {
    let has_purchase = answer.purchase_id.is_some() && answer.unit.is_some() && answer.state.is_some();
    match answer.status.as_deref() {
        Some("SUCCESS") if has_purchase && answer.durability.is_some() => Told::Success,
        Some("PURCHASED") if has_purchase => Told::Purchased,
        Some("SOLD_OUT") => Told::SoldOut,
        Some("UPCOMING") => Told::Upcoming,
        Some("ENDED") => Told::Ended,
        Some("PAUSED") => Told::Paused,
        _ => Told::Malformed,
    }
}

/// Whether a problem document says that nothing happened.
fn is_not_ready(body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["type"] == "urn:flashsale:problem:not-ready"
}

/// Reads the answer to somebody who looks at something of this name.
pub(super) fn of_look(name: &str, status: u16, body: &[u8]) -> Told {
    match status {
        200 if is_whole(name, body) => Told::Seen,
        200 => Told::Malformed,
        503 => Told::NotReady,
        500.. => Told::ServerError,
        _ => Told::Refused,
    }
}

fn is_whole(name: &str, body: &[u8]) -> bool {
    let json = || serde_json::from_slice::<Value>(body).unwrap_or_default();
    match name {
        "status" => json()["product"]["id"].is_string() && json()["status"].is_string(),
        "stock" => json()["stock"].is_u64() && json()["isAvailable"].is_boolean(),
        "purchase" => json()["hasPurchased"].is_boolean(),
        "events" => String::from_utf8_lossy(body).contains("event: sale"),
        _ => body.ends_with(b"</html>\n") || body.ends_with(b"</html>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_must_see_something_whole() {
        assert_eq!(of_look("stock", 200, br#"{"isAvailable":true,"stock":3}"#), Told::Seen);
        assert_eq!(of_look("stock", 200, br#"{"isAvailable":true,"stock":-3}"#), Told::Malformed);
        assert_eq!(of_look("page", 200, b"<html></html>\n"), Told::Seen);
        assert_eq!(of_look("page", 200, b"<html>"), Told::Malformed);
        assert_eq!(of_look("page", 503, b""), Told::NotReady);
    }

    #[test]
    fn an_answer_is_an_outcome_only_if_it_is_whole() {
        let success =
            r#"{"status":"SUCCESS","purchaseId":"x","unit":1,"state":"PENDING","durability":"broker"}"#;
        let unknown = r#"{"type":"urn:flashsale:problem:outcome-unknown","outcome":"unknown"}"#;
        for (status, body, told, kind) in [
            (200, success, Told::Success, Kind::Ok),
            (200, r#"{"status":"SUCCESS"}"#, Told::Malformed, Kind::Ok),
            (200, r#"{"status":"SOLD_OUT"}"#, Told::SoldOut, Kind::Ok),
            (200, "<html>", Told::Malformed, Kind::Ok),
            (503, r#"{"type":"urn:flashsale:problem:not-ready"}"#, Told::NotReady, Kind::Refused),
            (503, unknown, Told::NotReady, Kind::Unknown),
            (400, "", Told::Refused, Kind::Refused),
            (502, "", Told::ServerError, Kind::Unknown),
        ] {
            let (found, effect, _) = of_attempt(status, body.as_bytes());
            assert_eq!((found, effect), (told, kind), "{status} {body}");
        }
    }
}

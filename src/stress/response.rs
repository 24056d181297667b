//! The response class of a request: what its sender got, and what the history says about its
//! effect.

use serde_json::Value;

use crate::audit::{Answer, AttemptKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum ResponseClass {
    Success,
    Purchased,
    SoldOut,
    Upcoming,
    Ended,
    Paused,
    /// A viewer got a complete page, document or event.
    Viewed,
    /// 200 with a body that is not what the route promises.
    Malformed,
    /// 4xx
    Refused,
    /// 503
    NotReady,
    /// Any other 5xx, and any status that no route has.
    ServerError,
    /// The request timed out, or the connection broke.
    NoResponse,
    /// The virtual user closed the connection on purpose before the response.
    Abandoned,
}

impl ResponseClass {
    /// In the order in which reports show them.
    pub(super) const ALL: [Self; 13] = [
        Self::Success,
        Self::Purchased,
        Self::SoldOut,
        Self::Upcoming,
        Self::Ended,
        Self::Paused,
        Self::Viewed,
        Self::Abandoned,
        Self::Malformed,
        Self::Refused,
        Self::NotReady,
        Self::ServerError,
        Self::NoResponse,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Purchased => "PURCHASED",
            Self::SoldOut => "SOLD_OUT",
            Self::Upcoming => "UPCOMING",
            Self::Ended => "ENDED",
            Self::Paused => "PAUSED",
            Self::Viewed => "viewed",
            Self::Abandoned => "abandoned",
            Self::Malformed => "malformed response",
            Self::Refused => "4xx",
            Self::NotReady => "503",
            Self::ServerError => "5xx",
            Self::NoResponse => "no response",
        }
    }

    /// An abandoned request is no failure of the server.
    pub(super) fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::Refused | Self::NotReady | Self::ServerError | Self::NoResponse
        )
    }

    pub(super) fn is_server_error(self) -> bool {
        matches!(self, Self::NotReady | Self::ServerError)
    }

    pub(super) fn is_closed_sale(self) -> bool {
        matches!(self, Self::Upcoming | Self::Ended | Self::Paused)
    }
}

/// Classifies the response to a purchase attempt; the history also gets the kind of its
/// effect and the body.
pub(super) fn classify_attempt(status: u16, body: &[u8]) -> (ResponseClass, AttemptKind, Option<Answer>) {
    match status {
        200 => {
            let answer: Option<Answer> = serde_json::from_slice(body).ok();
            let class = answer.as_ref().map_or(ResponseClass::Malformed, classify_outcome);
            (class, AttemptKind::Ok, answer)
        }
        503 if is_not_ready(body) => (ResponseClass::NotReady, AttemptKind::Refused, None),
        503 => (ResponseClass::NotReady, AttemptKind::Unknown, None),
        400..500 => (ResponseClass::Refused, AttemptKind::Refused, None),
        _ => (ResponseClass::ServerError, AttemptKind::Unknown, None),
    }
}

fn classify_outcome(answer: &Answer) -> ResponseClass {
    let has_purchase = answer.purchase_id.is_some() && answer.unit.is_some() && answer.state.is_some();
    match answer.status.as_deref() {
        Some("SUCCESS") if has_purchase && answer.durability.is_some() => ResponseClass::Success,
        Some("PURCHASED") if has_purchase => ResponseClass::Purchased,
        Some("SOLD_OUT") => ResponseClass::SoldOut,
        Some("UPCOMING") => ResponseClass::Upcoming,
        Some("ENDED") => ResponseClass::Ended,
        Some("PAUSED") => ResponseClass::Paused,
        _ => ResponseClass::Malformed,
    }
}

/// This problem type promises that the attempt had no effect.
fn is_not_ready(body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["type"] == "urn:flashsale:problem:not-ready"
}

/// What a viewer requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    Status,
    Stock,
    Purchase,
    Page,
    Events,
}

impl View {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Stock => "stock",
            Self::Purchase => "purchase",
            Self::Page => "page",
            Self::Events => "events",
        }
    }

    pub(super) fn classify(self, status: u16, body: &[u8]) -> ResponseClass {
        match status {
            200 if self.is_complete(body) => ResponseClass::Viewed,
            200 => ResponseClass::Malformed,
            503 => ResponseClass::NotReady,
            500.. => ResponseClass::ServerError,
            _ => ResponseClass::Refused,
        }
    }

    fn is_complete(self, body: &[u8]) -> bool {
        let json = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        match self {
            Self::Status => json()["product"]["id"].is_string() && json()["status"].is_string(),
            Self::Stock => json()["stock"].is_u64() && json()["isAvailable"].is_boolean(),
            Self::Purchase => json()["hasPurchased"].is_boolean(),
            Self::Events => String::from_utf8_lossy(body).contains("event: sale"),
            Self::Page => body.ends_with(b"</html>\n") || body.ends_with(b"</html>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_must_be_complete() {
        let stock = |body: &[u8]| View::Stock.classify(200, body);
        assert_eq!(stock(br#"{"isAvailable":true,"stock":3}"#), ResponseClass::Viewed);
        assert_eq!(stock(br#"{"isAvailable":true,"stock":-3}"#), ResponseClass::Malformed);
        assert_eq!(View::Page.classify(200, b"<html></html>\n"), ResponseClass::Viewed);
        assert_eq!(View::Page.classify(200, b"<html>"), ResponseClass::Malformed);
        assert_eq!(View::Page.classify(503, b""), ResponseClass::NotReady);
    }

    #[test]
    fn an_outcome_counts_only_with_all_its_members() {
        let success =
            r#"{"status":"SUCCESS","purchaseId":"x","unit":1,"state":"PENDING","durability":"broker"}"#;
        let unknown = r#"{"type":"urn:flashsale:problem:outcome-unknown","outcome":"unknown"}"#;
        for (status, body, class, kind) in [
            (200, success, ResponseClass::Success, AttemptKind::Ok),
            (200, r#"{"status":"SUCCESS"}"#, ResponseClass::Malformed, AttemptKind::Ok),
            (200, r#"{"status":"SOLD_OUT"}"#, ResponseClass::SoldOut, AttemptKind::Ok),
            (200, "<html>", ResponseClass::Malformed, AttemptKind::Ok),
            (
                503,
                r#"{"type":"urn:flashsale:problem:not-ready"}"#,
                ResponseClass::NotReady,
                AttemptKind::Refused,
            ),
            (503, unknown, ResponseClass::NotReady, AttemptKind::Unknown),
            (400, "", ResponseClass::Refused, AttemptKind::Refused),
            (502, "", ResponseClass::ServerError, AttemptKind::Unknown),
        ] {
            let (found, effect, _) = classify_attempt(status, body.as_bytes());
            assert_eq!((found, effect), (class, kind), "{status} {body}");
        }
    }
}

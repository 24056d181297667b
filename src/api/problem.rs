//! Everything that is not a business outcome: a closed list of problems, as RFC 9457 documents.
//!
//! What lies beneath (a driver's message, an address) is logged and never sent.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;

use crate::{checkout::CheckoutError, domain::UserId, http::body::BodyError};

/// Why a request was not answered. `Display` is the `detail` of the document.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The body is not JSON, or not of the expected form.
    #[error("The body must be a JSON object such as {{\"userId\": \"buyer-1\"}}: {0}")]
    MalformedBody(String),
    /// The body was not read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The query string can't be read.
    #[error("The query can't be read: {0}")]
    MalformedQuery(String),
    /// No user id was given.
    #[error("userId is missing: give 1 to {} printable ASCII characters without spaces.", UserId::LEN_MAX)]
    UserIdMissing,
    /// The user id is not one.
    #[error("{0}")]
    UserIdInvalid(crate::domain::UserIdError),
    /// The catalogue has no such product.
    #[error("There is no such product.")]
    UnknownProduct,
    /// There is no such route.
    #[error("There is no such route.")]
    NotFound,
    /// The route has no such method.
    #[error("The method is not allowed here; allowed: {}.", .allowed.join(", "))]
    MethodNotAllowed {
        /// What is allowed.
        allowed: &'static [&'static str],
    },
    /// Nothing was decided, and nothing happened.
    #[error("The sale is not ready. Nothing was bought; try again shortly.")]
    NotReady,
    /// A question has no answer at the moment.
    #[error("This can't be answered at the moment; try again shortly.")]
    NoAnswer,
    /// The attempt may have taken effect.
    #[error("No answer in time, so the outcome is unknown. Try again: you will get the same purchase.")]
    OutcomeUnknown,
}

/// The document on the wire.
#[derive(Serialize)]
struct Document<'problem> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'problem str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

impl Problem {
    /// Status, stable name (the end of `type`), and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedBody(_) | Self::Body(BodyError::Broken(_)) => {
                (StatusCode::BAD_REQUEST, "malformed-body", "Malformed body")
            }
            Self::MalformedQuery(_) => (StatusCode::BAD_REQUEST, "malformed-query", "Malformed query"),
            Self::UserIdMissing | Self::UserIdInvalid(_) => {
                (StatusCode::BAD_REQUEST, "invalid-user-id", "Invalid user id")
            }
            Self::Body(BodyError::Unsupported(_)) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported content type")
            }
            Self::Body(BodyError::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large")
            }
            Self::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "body-timeout", "Body too slow"),
            Self::UnknownProduct => (StatusCode::NOT_FOUND, "unknown-product", "Unknown product"),
            Self::NotFound => (StatusCode::NOT_FOUND, "unknown-route", "Unknown route"),
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::NotReady | Self::NoAnswer => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown"),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, name, title) = self.kind();
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json").insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::MethodNotAllowed { allowed } => {
                response.insert_header((header::ALLOW, allowed.join(", ")));
            }
            Self::NotReady | Self::NoAnswer | Self::OutcomeUnknown => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            _ => {}
        }
        let document = Document {
            r#type: format!("urn:flashsale:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.to_string(),
            outcome: matches!(self, Self::OutcomeUnknown).then_some("unknown"),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default(); // strings and integers serialise
        response.body(body)
    }
}

/// The boundary of a question: the whole chain is logged here, once, and only its kind goes out.
impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "no answer");
        Self::NoAnswer
    }
}

impl Problem {
    /// The boundary of a purchase attempt, whose buyer needs to know whether it may have taken effect.
    pub(super) fn of_attempt(error: &CheckoutError) -> Self {
        tracing::debug!(error = error as &dyn std::error::Error, "no decision");
        if error.is_unknown() { Self::OutcomeUnknown } else { Self::NotReady }
    }
}

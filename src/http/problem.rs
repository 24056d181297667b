//! Everything that is not a business outcome: a closed list of problems, as RFC 9457 documents.
//!
//! The cause (a driver's message, an address) is logged and never sent.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;

use super::body::BodyError;
use crate::{
    checkout::CheckoutError,
    domain::{UserId, UserIdError},
};

/// Why a request was not answered. `Display` is the `detail` of the document.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("The body must be a JSON object such as {{\"userId\": \"buyer-1\"}}: {0}")]
    MalformedBody(String),
    #[error("The form can't be read: {0}")]
    MalformedForm(String),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("The query can't be read: {0}")]
    MalformedQuery(String),
    #[error("userId is missing: give 1 to {} printable ASCII characters without spaces.", UserId::LEN_MAX)]
    UserIdMissing,
    #[error("{0}")]
    UserIdInvalid(UserIdError),
    #[error("There is no such product.")]
    UnknownProduct,
    #[error("There is nothing at this address.")]
    NotFound,
    #[error("The method is not allowed here; allowed: {}.", .allowed.join(", "))]
    MethodNotAllowed { allowed: &'static [&'static str] },
    #[error(
        "It can't be told that this shop's own page has sent the form, so nothing was bought. Open that \
         page again; if it does not help, tell the shop."
    )]
    CrossSite,
    #[error(
        "Pages of this origin may not call this API. An operator can allow it: add it to \
         FLASHSALE_API_CORS_ORIGINS."
    )]
    OriginNotAllowed,
    #[error("This server does not answer to this host name. An operator can allow it: set {setting} to it.")]
    UnknownHost { setting: &'static str },
    #[error("This needs the bearer token of the console's token file (console.token_file).")]
    TokenRequired,
    #[error("Too many pages are updated live at the moment. Load the page again to see the sale as it is.")]
    TooManyListeners,
    /// Nothing was decided, and nothing happened.
    #[error("The sale is not ready. Nothing was bought; try again shortly.")]
    NotReady,
    /// A read has no answer at the moment.
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
            Self::MalformedBody(_)
            | Self::MalformedForm(_)
            | Self::Body(BodyError::Broken(_) | BodyError::TooDeep) => {
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
            Self::TooManyListeners => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-listeners", "Too many listeners")
            }
            Self::TokenRequired => (StatusCode::UNAUTHORIZED, "token-required", "Token required"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "Sent by another site"),
            Self::OriginNotAllowed => (StatusCode::FORBIDDEN, "origin-not-allowed", "Origin not allowed"),
            Self::UnknownHost { .. } => {
                (StatusCode::MISDIRECTED_REQUEST, "unknown-host", "Unknown host name")
            }
            Self::NotReady | Self::NoAnswer => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown"),
        }
    }

    /// Whether the connection is wanted for another client.
    pub(crate) fn closes_connection(&self) -> bool {
        matches!(self, Self::TooManyListeners)
    }

    /// For an attempt to buy, whose buyer needs to know whether it may have taken effect.
    pub(crate) fn of_attempt(error: &CheckoutError) -> Self {
        tracing::debug!(error = error as &dyn std::error::Error, "an attempt has no decision");
        if error.is_unknown() { Self::OutcomeUnknown } else { Self::NotReady }
    }
}

/// For a read. The chain of causes is logged here, once.
impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "a read has no answer");
        Self::NoAnswer
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, name, title) = self.kind();
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        if let Self::MethodNotAllowed { allowed } = self {
            response.insert_header((header::ALLOW, allowed.join(", ")));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        if self.closes_connection() {
            response.force_close();
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

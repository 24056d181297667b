//! Reads the body of a request within bounds of length and time, for the API and the pages alike.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    web::{Bytes, BytesMut, Payload},
};
use futures_util::StreamExt;
use tokio::time::timeout;

/// Longest body, in bytes.
pub const BODY_LEN_MAX: usize = 4096;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has another content type than this one, or is compressed.
    #[error("The body must have the content type {0}, and no content encoding.")]
    Unsupported(&'static str),
    /// It is longer than [`BODY_LEN_MAX`].
    #[error("The body must be at most {BODY_LEN_MAX} bytes long.")]
    TooLarge,
    /// It did not arrive in time.
    #[error("The body did not arrive in time.")]
    TooSlow,
    /// Its framing is broken, or the client is gone.
    #[error("The body can't be read: {0}")]
    Broken(String),
}

/// Whether the request has a body that is not empty, or whose length is not known.
pub fn has_body(request: &HttpRequest) -> bool {
    declared_len(request).is_some_and(|length| length > 0) || request.chunked().unwrap_or(false)
}

/// Reads the whole body.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    content_type: &'static str,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let encoded = encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    // Parameters such as a charset do not matter: what follows is checked to be UTF-8.
    if encoded || !request.content_type().eq_ignore_ascii_case(content_type) {
        return Err(BodyError::Unsupported(content_type));
    }
    if declared_len(request).is_some_and(|length| length > BODY_LEN_MAX) {
        return Err(BodyError::TooLarge);
    }
    let mut payload = payload;
    match timeout(patience, read_all(&mut payload)).await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(BodyError::TooLarge),
        Ok(Err(error)) => Err(BodyError::Broken(error.to_string())),
        Err(_elapsed) => Err(BodyError::TooSlow),
    }
}

fn declared_len(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `None`: there is too much of it.
async fn read_all(payload: &mut Payload) -> Result<Option<Bytes>, actix_web::error::PayloadError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > BODY_LEN_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

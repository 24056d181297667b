//! Reads the body of a request within limits of length and time.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt;
use tokio::time::timeout;

/// Most levels of arrays and objects in a JSON body.
const JSON_LEVELS_MAX: usize = 32;
/// Longest body, in bytes.
pub const BODY_LEN_MAX: usize = 4096;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// App data of a server: timeout for the arrival of a whole body.
#[derive(Clone, Copy, Debug)]
pub struct BodyTimeout(pub Duration);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("The body must have the content type {0}, and no content encoding.")]
    Unsupported(&'static str),
    #[error("The body must be at most {BODY_LEN_MAX} bytes long.")]
    TooLarge,
    #[error("The body must have at most {JSON_LEVELS_MAX} levels of arrays and objects.")]
    TooDeep,
    #[error("The body did not arrive in time.")]
    TooSlow,
    /// The framing is broken, or the client is gone.
    #[error("The body can't be read: {0}")]
    Broken(#[from] PayloadError),
}

/// Whether the request has a body that is not empty, or whose length is not declared.
pub(super) fn has_body(request: &HttpRequest) -> bool {
    declared_len(request).is_some_and(|length| length > 0) || request.chunked().unwrap_or(false)
}

/// Reads the whole body, within [`BODY_LEN_MAX`] and the [`BodyTimeout`] of the server.
pub async fn read_body(
    request: &HttpRequest,
    mut payload: Payload,
    content_type: &'static str,
) -> Result<Bytes, BodyError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let encoded = encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    // A charset parameter is not compared: parsers of the body check that it is UTF-8.
    if encoded || !request.content_type().eq_ignore_ascii_case(content_type) {
        return Err(BodyError::Unsupported(content_type));
    }
    if declared_len(request).is_some_and(|length| length > BODY_LEN_MAX) {
        return Err(BodyError::TooLarge);
    }
    let deadline = request.app_data::<BodyTimeout>().map_or(DEFAULT_TIMEOUT, |timeout| timeout.0);
    match timeout(deadline, read_all(&mut payload)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(BodyError::TooSlow),
    }
}

/// Refuses a JSON body that is nested too deeply, also where the parser would skip the member: the
/// parser's own limit does not count in what it skips. Other errors are left to the parser.
pub(super) fn check_depth(body: &[u8]) -> Result<(), BodyError> {
    let (mut level, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => level += 1,
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
        if level > JSON_LEVELS_MAX {
            return Err(BodyError::TooDeep);
        }
    }
    Ok(())
}

fn declared_len(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_all(payload: &mut Payload) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > BODY_LEN_MAX {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

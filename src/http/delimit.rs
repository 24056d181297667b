//! Where an answer of unknown length ends, for a client that knows no chunks.

use actix_web::{
    body::{BodySize, MessageBody},
    dev::ServiceResponse,
    http::{ConnectionType, Version},
};

/// In HTTP/1.0 a body without a length ends with its connection (RFC 9112, section 6.3). actix
/// would send it in chunks, as in HTTP/1.1, and let a client that asks for it keep the connection.
pub(super) fn delimit_by_close(answer: &mut ServiceResponse<impl MessageBody>) {
    let is_stream = answer.response().body().size() == BodySize::Stream;
    if is_stream && answer.request().version() < Version::HTTP_11 {
        let head = answer.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
}

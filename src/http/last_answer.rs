//! Answers that are the last ones of their connection.

use actix_web::{
    body::{BodySize, MessageBody},
    dev::ServiceResponse,
    http::{ConnectionType, Version},
};

/// Closes the connection after an answer of a server that is stopping, so that the client opens its
/// next one, by a proxy, to another process; and after a body without a length in HTTP/1.0, whose
/// end that is (RFC 9112, section 6.3). actix would send it in chunks, as in HTTP/1.1.
pub(super) fn close_after_last(answer: &mut ServiceResponse<impl MessageBody>, is_stopping: bool) {
    let is_stream = answer.response().body().size() == BodySize::Stream;
    let is_delimited_by_close = is_stream && answer.request().version() < Version::HTTP_11;
    let head = answer.response_mut().head_mut();
    if is_delimited_by_close {
        head.no_chunking(true);
    }
    if is_delimited_by_close || is_stopping {
        head.set_connection_type(ConnectionType::Close);
    }
}

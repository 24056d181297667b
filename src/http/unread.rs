//! Ends the connection where a request's body was not read to its end.
//!
//! Of a chunked body that nobody wants the server would go on reading, without limit of length or time, to use the
//! connection again. It does not while somebody holds on to the body: so the response does.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    web::Bytes,
};
use futures_util::Stream;

/// A body that its reader and the response hold on to.
#[derive(Clone)]
struct Held(Rc<RefCell<Payload>>);

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// A response's body, with what is left of its request.
struct WithRequest {
    body: BoxBody,
    _held: Held,
}

impl MessageBody for WithRequest {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.body.as_pin_mut().poll_next(cx)
    }
}

/// The middleware.
pub(super) async fn end_with_unread(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // One with a length is closed by the server itself.
    if !request.chunked().unwrap_or(false) {
        return next.call(request).await;
    }
    let held = Held(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream { payload: Box::pin(held.clone()) });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(WithRequest { body, _held: held })))
}

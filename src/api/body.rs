//! Reads what a request carries, strictly and within bounds.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    http::header::CONTENT_LENGTH,
    web::{Bytes, BytesMut, Data},
};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{Api, Problem};
use crate::domain::UserId;

/// Longest body, in bytes.
pub(super) const BODY_LEN_MAX: usize = 4096;

/// The user of a request with a body: `{"userId": "…"}`. Other members are ignored.
pub(super) struct BodyUser(pub(super) UserId);

/// The user of a request without one: `?userId=…`, or else a body as in [`BodyUser`].
pub(super) struct QueryUser(pub(super) UserId);

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "userId")]
    user_id: Option<String>,
}

impl Fields {
    fn user(self) -> Result<UserId, Problem> {
        UserId::parse(&self.user_id.ok_or(Problem::UserIdMissing)?).map_err(Problem::UserIdInvalid)
    }
}

impl FromRequest for BodyUser {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let reading = read_json::<Fields>(request.clone(), payload.take());
        Box::pin(async move { Ok(Self(reading.await?.user()?)) })
    }
}

impl FromRequest for QueryUser {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let query = actix_web::web::Query::<Fields>::from_query(request.query_string());
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let query = query.map_err(|error| Problem::MalformedQuery(error.to_string()))?.into_inner();
            let has_body =
                request.headers().contains_key(CONTENT_LENGTH) || request.chunked().unwrap_or(false);
            let fields =
                if query.user_id.is_none() && has_body { read_json(request, payload).await? } else { query };
            Ok(Self(fields.user()?))
        })
    }
}

async fn read_json<T: DeserializeOwned>(
    request: HttpRequest,
    payload: actix_web::dev::Payload,
) -> Result<T, Problem> {
    // A charset or other parameter does not matter: JSON is UTF-8, and the parser checks.
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(Problem::UnsupportedMediaType);
    }
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > BODY_LEN_MAX) {
        return Err(Problem::BodyTooLarge);
    }
    let patience = request.app_data::<Data<Api>>().map_or(Duration::from_secs(5), |api| api.body_timeout);
    let body = timeout(patience, read_bytes(payload)).await.map_err(|_elapsed| Problem::BodyTimeout)??;
    serde_json::from_slice(&body).map_err(|error| Problem::MalformedBody(error.to_string()))
}

async fn read_bytes(payload: actix_web::dev::Payload) -> Result<Bytes, Problem> {
    let mut payload = payload;
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::MalformedBody(error.to_string()))?;
        if body.len() + chunk.len() > BODY_LEN_MAX {
            return Err(Problem::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

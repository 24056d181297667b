//! The user that a request names, read strictly.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    web::{Payload, Query},
};
use serde::Deserialize;

use super::Problem;
use crate::domain::UserId;
use crate::http::body::{has_body, read};

/// Other members are ignored.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "userId")]
    user_id: Option<String>,
}

/// The user in a body `{"userId": "…"}`.
pub(super) async fn body_user(
    request: &HttpRequest,
    payload: Payload,
    patience: Duration,
) -> Result<UserId, Problem> {
    let body = read(request, payload, "application/json", patience).await?;
    // The parser would also take the members in order, without their names, from an array.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::MalformedBody("it is not an object".to_owned()));
    }
    let fields = serde_json::from_slice(&body).map_err(|error| Problem::MalformedBody(error.to_string()))?;
    user(fields)
}

/// The user in a query `?userId=…`, or else in a body as above.
pub(super) async fn query_user(
    request: &HttpRequest,
    payload: Payload,
    patience: Duration,
) -> Result<UserId, Problem> {
    let query = Query::<Fields>::from_query(request.query_string());
    let fields = query.map_err(|error| Problem::MalformedQuery(error.to_string()))?.into_inner();
    if fields.user_id.is_none() && has_body(request) {
        return body_user(request, payload, patience).await;
    }
    user(fields)
}

fn user(fields: Fields) -> Result<UserId, Problem> {
    UserId::parse(&fields.user_id.ok_or(Problem::UserIdMissing)?).map_err(Problem::UserIdInvalid)
}

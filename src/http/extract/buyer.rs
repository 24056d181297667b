//! The buyer that a request names.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::Deserialize;

use super::query::read_query;
use crate::{
    domain::UserId,
    http::{
        body::{check_depth, has_body, read_body},
        problem::Problem,
    },
};

/// The buyer in a JSON body `{"userId": "…"}`. Other members of the object are ignored.
#[derive(Clone, Debug)]
pub struct Buyer(pub UserId);

/// The buyer in a query `?userId=…`, or else in a JSON body.
#[derive(Clone, Debug)]
pub struct BuyerQuery(pub UserId);

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "userId")]
    user_id: Option<String>,
}

impl TryFrom<Fields> for UserId {
    type Error = Problem;

    fn try_from(fields: Fields) -> Result<Self, Problem> {
        Self::parse(&fields.user_id.ok_or(Problem::UserIdMissing)?).map_err(Problem::UserIdInvalid)
    }
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Buyer {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { from_body(&request, payload).await.map(Self) })
    }
}

impl FromRequest for BuyerQuery {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let fields: Fields = read_query(&request)?;
            if fields.user_id.is_none() && has_body(&request) {
                return from_body(&request, payload).await.map(Self);
            }
            fields.try_into().map(Self)
        })
    }
}

async fn from_body(request: &HttpRequest, payload: Payload) -> Result<UserId, Problem> {
    let body = read_body(request, payload, "application/json").await?;
    check_depth(&body)?;
    // Serde would also read the members of a struct from an array.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::MalformedBody("it is not an object".to_owned()));
    }
    let fields: Fields =
        serde_json::from_slice(&body).map_err(|error| Problem::MalformedBody(error.to_string()))?;
    fields.try_into()
}

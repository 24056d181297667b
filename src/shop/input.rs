//! The user id that a visitor types, in a form or in a link. It is not checked here: a wrong one is
//! answered with a notice on the page.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    web::{Data, Query},
};
use serde::Deserialize;

use super::state::Shop;
use crate::http::{
    body::read_body,
    extract::{read_form_query, read_query},
    problem::Problem,
    security::origin::check_same_origin,
};

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "userId")]
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct Typed {
    typed: Option<String>,
}

/// `?userId=…` of a link, or else `?typed=…` of the form that asks: browsers write a space that was
/// typed as a plus sign, and a plus sign otherwise.
pub(super) struct UserQuery(pub(super) Option<String>);

/// The field `userId` of a form that a page of this shop has sent.
pub(super) struct UserForm(pub(super) String);

impl FromRequest for UserQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let Fields { user_id } = read_query(request)?;
            let Typed { typed } = read_form_query(request)?;
            Ok(Self(user_id.or(typed)))
        };
        ready(read())
    }
}

impl FromRequest for UserForm {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let shop = request.app_data::<Data<Shop>>();
            let own = shop.map(|shop| shop.site.public.origins()).unwrap_or_default();
            check_same_origin(&request, own)?;
            let body = read_body(&request, payload, "application/x-www-form-urlencoded").await?;
            let body =
                std::str::from_utf8(&body).map_err(|error| Problem::MalformedForm(error.to_string()))?;
            let fields = Query::<Fields>::from_query(body);
            let fields = fields.map_err(|error| Problem::MalformedForm(error.to_string()))?;
            Ok(Self(fields.into_inner().user_id.unwrap_or_default()))
        })
    }
}

//! `GET /audit/{product}` and `/audit/{product}/counts`: what `flashsale stress` reads to audit its
//! run. It names every buyer, so only a client with the [`ConsoleToken`] gets it.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    web::{Bytes, Data, Json},
};
use futures_util::stream;

use super::token::ConsoleToken;
use crate::{
    audit::{Counts, GatherError, Sources},
    http::{extract::ProductParam, problem::Problem, security::host::is_proxied},
};

/// A client that has the token and no proxy before it: a proxy serves others, too.
pub(super) struct Auditor;

impl FromRequest for Auditor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = request.app_data::<Data<ConsoleToken>>().filter(|_| !is_proxied(request));
        ready(match token {
            None => Err(Problem::NotFound),
            Some(token) if token.is_borne_by(request) => Ok(Self),
            Some(_) => Err(Problem::TokenRequired),
        })
    }
}

/// The evidence, one JSON value a line.
pub(super) async fn evidence(
    _: Auditor,
    product: ProductParam,
    sources: Data<Sources>,
) -> Result<HttpResponse, Problem> {
    let mut evidence = sources.gather(&product.id).await?;
    evidence.confirmed_at = sources.confirmed_at(&product.id).await?;
    let lines: Vec<_> = evidence.lines().map(|line| Ok::<_, Problem>(Bytes::from(line))).collect();
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(stream::iter(lines)))
}

pub(super) async fn counts(
    _: Auditor,
    product: ProductParam,
    sources: Data<Sources>,
) -> Result<Json<Counts>, Problem> {
    Ok(Json(sources.counts(&product.id).await?))
}

impl From<GatherError> for Problem {
    fn from(error: GatherError) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "the evidence can't be gathered");
        Self::NoAnswer
    }
}

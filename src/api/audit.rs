//! What `flashsale stress` reads to audit its run.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    web::{Bytes, Data, Json},
};
use futures_util::stream;

use crate::{
    audit::{Counts, GatherError, Sources},
    http::{extract::ProductParam, problem::Problem, security::host::from_loopback},
};

/// A client on this machine. To other clients the route does not exist.
pub(super) struct LocalClient;

impl FromRequest for LocalClient {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(if from_loopback(request) { Ok(Self) } else { Err(Problem::NotFound) })
    }
}

/// `GET /audit/{product}`: the evidence, one JSON value a line.
pub(super) async fn evidence(
    _: LocalClient,
    product: ProductParam,
    sources: Data<Sources>,
) -> Result<HttpResponse, Problem> {
    let mut evidence = sources.gather(&product.id).await?;
    evidence.confirmed_at = sources.confirmed_at(&product.id).await?;
    let lines: Vec<_> = evidence.lines().map(|line| Ok::<_, Problem>(Bytes::from(line))).collect();
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(stream::iter(lines)))
}

/// `GET /audit/{product}/counts`
pub(super) async fn counts(
    _: LocalClient,
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

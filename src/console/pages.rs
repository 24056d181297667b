//! `GET /console` and `GET /console/snapshot`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use askama::Template;
use serde::Deserialize;

use super::{
    monitor::{Monitor, Status},
    snapshot::Snapshot,
    verdict::Verdict,
};
use crate::http::{pages::render, problem::Problem};

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage<'page> {
    snapshot: &'page Snapshot,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Since {
    /// Only the history after this time, in milliseconds since 1970.
    since: Option<i64>,
}

pub(super) async fn console(monitor: Data<Monitor>) -> HttpResponse {
    let Status { snapshot, verdict, .. } = monitor.status(i64::MAX);
    render(StatusCode::OK, &ConsolePage { snapshot: &snapshot, verdict })
}

pub(super) async fn snapshot(monitor: Data<Monitor>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::<Since>::from_query(request.query_string());
    let query = query.map_err(|error| Problem::MalformedQuery(error.to_string()))?;
    let status = monitor.status(query.since.unwrap_or(i64::MIN));
    Ok(HttpResponse::Ok().json(status))
}

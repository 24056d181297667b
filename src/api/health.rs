//! Whether the process lives, and whether it can work.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, ServiceConfig},
};
use serde::Serialize;

use super::{at, read};
use crate::observability::readiness::{Check, Readiness};

/// The two health routes, which a worker has as well. They need a [`Readiness`] as app data.
pub fn health_routes(config: &mut ServiceConfig) {
    config.service(at("/healthz", &["GET", "HEAD"], read().to(healthz))).service(at(
        "/readyz",
        &["GET", "HEAD"],
        read().to(readyz),
    ));
}

#[derive(Serialize)]
struct DependencyView {
    name: String,
    ready: bool,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The ready answer; a problem document with the same list when not.
#[derive(Serialize)]
struct ReadyView {
    #[serde(flatten)]
    problem: Option<ProblemMembers>,
    ready: bool,
    dependencies: Vec<DependencyView>,
}

#[derive(Serialize)]
struct ProblemMembers {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "alive" }))
}

async fn readyz(readiness: Data<Readiness>) -> HttpResponse {
    let checks = readiness.check().await;
    let missing: Vec<_> = checks.iter().filter(|check| check.required && check.outage.is_some()).collect();
    let waiting_for = missing.iter().map(|check| check.name.as_str()).collect::<Vec<_>>().join(", ");
    let ready = missing.is_empty();
    let problem = (!ready).then(|| ProblemMembers {
        r#type: "urn:flashsale:problem:not-ready",
        title: "Not ready",
        status: 503,
        detail: format!("Waiting for {waiting_for}."),
    });
    let dependencies = checks.into_iter().map(dependency_view).collect();
    let view = ReadyView { problem, ready, dependencies };
    if ready {
        HttpResponse::Ok().json(view)
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "1"))
            .content_type("application/problem+json")
            .json(view)
    }
}

fn dependency_view(check: Check) -> DependencyView {
    let Check { name, outage, required, .. } = check;
    DependencyView { name, ready: outage.is_none(), required, reason: outage }
}

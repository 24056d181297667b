//! `/healthz`: the process lives. `/readyz`: it can do its work, with one entry a dependency.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Json, ServiceConfig},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::routing::get;
use crate::observability::readiness::{Check, Readiness};

/// What the health routes tell.
#[derive(Clone, Debug)]
pub struct Health {
    pub readiness: Readiness,
    /// Cancelled: the process was told to end. It answers still, and wants no new clients.
    pub stopping: CancellationToken,
}

/// The health routes of every process.
pub fn routes(config: &mut ServiceConfig, health: Data<Health>) {
    config.app_data(health).service(get("/healthz", healthz)).service(get("/readyz", readyz));
}

#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
}

/// Where the process is not ready, the answer is a problem document with the same list.
#[derive(Serialize)]
struct ReadyAnswer {
    #[serde(flatten)]
    problem: Option<ProblemMembers>,
    ready: bool,
    dependencies: Vec<DependencyMember>,
}

#[derive(Serialize)]
struct ProblemMembers {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

#[derive(Serialize)]
struct DependencyMember {
    name: String,
    ready: bool,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Check> for DependencyMember {
    fn from(Check { name, outage, required, .. }: Check) -> Self {
        Self { name, ready: outage.is_none(), required, reason: outage }
    }
}

async fn healthz() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "alive" })
}

async fn readyz(health: Data<Health>) -> HttpResponse {
    let checks = health.readiness.check();
    let missing: Vec<_> = checks
        .iter()
        .filter(|check| check.required && check.outage.is_some())
        .map(|check| check.name.as_str())
        .collect();
    let is_stopping = health.stopping.is_cancelled();
    let ready = missing.is_empty() && !is_stopping;
    let problem = (!ready).then(|| ProblemMembers {
        r#type: "urn:flashsale:problem:not-ready",
        title: "Not ready",
        status: 503,
        detail: if is_stopping {
            "This process is ending.".to_owned()
        } else {
            format!("Waiting for {}.", missing.join(", "))
        },
    });
    let dependencies = checks.into_iter().map(Into::into).collect();
    let answer = ReadyAnswer { problem, ready, dependencies };
    if ready {
        HttpResponse::Ok().json(answer)
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "1"))
            .content_type("application/problem+json")
            .json(answer)
    }
}

//! What a load test must see of the stores to audit its run. Only where it is switched on (`serve --audit-route`), and
//! only for clients on this machine: it names every buyer.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Json, ServiceConfig},
};
use futures_util::stream;

use super::{Api, Problem, at, products::product, read};
use crate::audit::{Counts, GatherError, Sources};

/// The two routes; they need an [`Api`] and [`Sources`] as app data.
pub fn audit_routes(config: &mut ServiceConfig) {
    config.service(at("/audit/{product}", &["GET", "HEAD"], read().to(evidence))).service(at(
        "/audit/{product}/counts",
        &["GET", "HEAD"],
        read().to(counts),
    ));
}

/// Other machines are not told that there is such a route.
fn from_this_machine(request: &HttpRequest) -> Result<(), Problem> {
    let local = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if local { Ok(()) } else { Err(Problem::NotFound) }
}

async fn evidence(
    api: Data<Api>,
    sources: Data<Sources>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    from_this_machine(&request)?;
    let product = &product(&api, &request)?.id;
    let mut evidence = sources.gather(product).await?;
    evidence.confirmed_at = sources.confirmed_at(product).await?;
    let lines: Vec<_> = evidence.lines().map(|line| Ok::<_, Problem>(Bytes::from(line))).collect();
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(stream::iter(lines)))
}

async fn counts(
    api: Data<Api>,
    sources: Data<Sources>,
    request: HttpRequest,
) -> Result<Json<Counts>, Problem> {
    from_this_machine(&request)?;
    Ok(Json(sources.counts(&product(&api, &request)?.id).await?))
}

/// The boundary: the chain is logged here, and only its kind goes out.
impl From<GatherError> for Problem {
    fn from(error: GatherError) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "no evidence");
        Self::NoAnswer
    }
}

//! Problems as pages.

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, StatusCode, header},
    middleware::Next,
};
use askama::Template;

use super::{
    render::{render, wants_json},
    site::Site,
};
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'page> {
    site: &'page Site,
    title: &'page str,
    detail: &'page str,
}

/// Middleware: a handler or extractor that fails with a [`Problem`] is answered with a page; for a
/// script, with the problem's own document.
pub(crate) async fn problem_pages(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let site = Site::of(request.request());
    let response = next.call(request).await?;
    if wants_json(response.request()) {
        return Ok(response);
    }
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    match problem.map(|problem| problem_page(&site, problem)) {
        Some(mut page) => {
            if let Some(allowed) = response.headers().get(header::ALLOW) {
                page.headers_mut().insert(header::ALLOW, allowed.clone());
            }
            Ok(response.into_response(page))
        }
        None => Ok(response),
    }
}

fn problem_page(site: &Site, problem: &Problem) -> HttpResponse {
    let status = problem.status_code();
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::SERVICE_UNAVAILABLE => "Try again",
        _ => "That did not work",
    };
    let mut page = render(status, &ErrorPage { site, title, detail: &problem.to_string() });
    if problem.closes_connection() {
        page.head_mut().set_connection_type(ConnectionType::Close);
    }
    page
}

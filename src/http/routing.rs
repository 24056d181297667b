//! Routes by method. Any other method is answered 405 with the methods that are allowed.

use actix_web::{
    FromRequest, Handler, Resource, Responder, Route, guard,
    web::{self},
};

use super::problem::Problem;

/// A route of GET and of HEAD, which has the same answer without its body.
pub(crate) fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A resource that is read: GET and HEAD.
pub(crate) fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, &["GET", "HEAD"], read().to(handler))
}

/// A stream: GET alone, since actix would produce the whole endless body for a HEAD.
pub(crate) fn stream<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, &["GET"], web::get().to(handler))
}

pub(crate) fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, &["POST"], web::post().to(handler))
}

fn only(path: &str, allowed: &'static [&'static str], route: Route) -> Resource {
    let refuse = move || async move { Err::<String, _>(Problem::MethodNotAllowed { allowed }) };
    web::resource(path).route(route).default_service(web::to(refuse))
}

/// For a path that has no resource.
pub(crate) async fn not_found() -> Result<String, Problem> {
    Err(Problem::NotFound)
}

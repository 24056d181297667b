//! The scope in which all pages are served.

use actix_web::{
    Error, Scope,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web,
};

use super::{assets, errors::problem_pages};
use crate::http::{
    routing::{get, not_found},
    security::headers::security_headers,
};

/// Adds what all pages have in common: assets, error pages, security headers.
pub(crate) fn page_routes<T>(
    scope: Scope<T>,
) -> Scope<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        > + 'static,
{
    scope
        .service(get("/assets/{name}", assets::asset))
        .service(get("/assets/{hash}/{name}", assets::asset))
        .service(get("/media/{name}", assets::media))
        .service(get("/media/{hash}/{name}", assets::media))
        .default_service(web::to(not_found))
        .wrap(from_fn(problem_pages))
        .wrap(from_fn(security_headers))
}

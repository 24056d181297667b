//! CSRF protection of forms.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};

use crate::http::problem::Problem;

/// Refuses a form that a page of another site has sent, by `Sec-Fetch-Site`, or else by `Origin`. A
/// client that sends neither is no browser, and carries no cookies of one.
pub(crate) fn check_same_origin(request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let same_origin = match (header(HeaderName::from_static("sec-fetch-site")), header(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == header(header::HOST)
        }
        (None, None) => true,
    };
    if same_origin { Ok(()) } else { Err(Problem::CrossSite) }
}

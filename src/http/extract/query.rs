//! The query of a request.

use actix_web::{HttpRequest, web::Query};
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

/// Reads a query. A plus sign means itself, and not a space as in the encoding of forms: nothing
/// that is asked for has a space in it, and people write links such as
/// `?userId=anna+vip@example.com` by hand.
pub(crate) fn read_query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    from_text(&request.query_string().replace('+', "%2B"))
}

/// Reads a query that a form may have written, in which a plus sign is a space.
pub(crate) fn read_form_query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    from_text(request.query_string())
}

fn from_text<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let query = Query::<T>::from_query(query);
    query.map(Query::into_inner).map_err(|error| Problem::MalformedQuery(error.to_string()))
}

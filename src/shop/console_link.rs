//! `/console` and `/console/snapshot` of the shop, which serves neither.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::state::Shop;
use crate::http::{pages::see_other, problem::Problem, security::host::is_local, server::reachable};

/// Redirects a client on this machine to the operations console; to others there
/// is no such address.
pub(super) async fn redirect(shop: Data<Shop>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let addr = shop.console_addr.filter(|_| is_local(&request)).ok_or(Problem::NotFound)?;
    Ok(see_other(&format!("http://{}{}", reachable(addr), request.uri())))
}

//! `GET /console` and `GET /console/snapshot`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use serde::Deserialize;

use super::{
    monitor::{Monitor, Status},
    product_row::{ProductRow, rows},
    shop_link::ShopLink,
    snapshot::Snapshot,
    verdict::Verdict,
};
use crate::http::{extract::read_query, pages::render, problem::Problem};

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage<'page> {
    snapshot: &'page Snapshot,
    verdict: Verdict,
    rows: Vec<ProductRow<'page>>,
    /// The address of the shop, once it listens.
    shop: Option<String>,
}

#[derive(Deserialize)]
struct Since {
    /// Only the history after this time, in milliseconds since 1970.
    since: Option<i64>,
}

pub(super) async fn console(
    monitor: Data<Monitor>,
    shop: Data<ShopLink>,
    request: HttpRequest,
) -> HttpResponse {
    let Status { snapshot, verdict, .. } = monitor.status(i64::MAX);
    let (rows, shop) = (rows(&snapshot.products, snapshot.at), shop.url(&request));
    render(StatusCode::OK, &ConsolePage { snapshot: &snapshot, verdict, rows, shop })
}

pub(super) async fn snapshot(monitor: Data<Monitor>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Since { since } = read_query(&request)?;
    let status = monitor.status(since.unwrap_or(i64::MIN));
    Ok(HttpResponse::Ok().json(status))
}

//! What is sold, and where its sale stands.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{Api, Problem};
use crate::domain::{Phase, Product, SaleState};

/// `GET /products/{id}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sale<'product> {
    status: Phase,
    start_at: Option<String>,
    end_at: Option<String>,
    product: ProductView<'product>,
}

/// An entry of `GET /products`
#[derive(Serialize)]
pub(super) struct CatalogueEntry<'product> {
    #[serde(flatten)]
    sale: Sale<'product>,
    stock: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductView<'product> {
    id: &'product str,
    name: &'product str,
    price: String,
    original_price: Option<String>,
    image: &'product str,
    description: &'product str,
    sale_start: Option<String>,
    sale_end: Option<String>,
    total_stock: u32,
}

/// `GET /products/{id}/stock`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    is_available: bool,
    stock: u32,
}

/// The product that a path names; the first of the catalogue under `/sale`.
pub(super) fn product<'api>(api: &'api Api, request: &HttpRequest) -> Result<&'api Product, Problem> {
    let found = match request.match_info().get("product") {
        Some(id) => api.catalogue.get(id),
        None => api.catalogue.first(),
    };
    found.ok_or(Problem::UnknownProduct)
}

pub(super) async fn status(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let product = product(&api, &request)?;
    let state = api.checkout.reader.sale(&product.id).await?;
    Ok(HttpResponse::Ok().json(sale(product, &state)))
}

pub(super) async fn stock(api: Data<Api>, request: HttpRequest) -> Result<Json<Stock>, Problem> {
    let state = api.checkout.reader.sale(&product(&api, &request)?.id).await?;
    Ok(Json(Stock { is_available: state.phase() == Phase::Active, stock: state.remaining }))
}

pub(super) async fn list(api: Data<Api>) -> Result<HttpResponse, Problem> {
    let mut entries = Vec::new();
    for product in api.catalogue.products() {
        let state = api.checkout.reader.sale(&product.id).await?;
        entries.push(CatalogueEntry { sale: sale(product, &state), stock: state.remaining });
    }
    Ok(HttpResponse::Ok().json(entries))
}

fn sale<'product>(product: &'product Product, state: &SaleState) -> Sale<'product> {
    let (start_at, end_at) = (state.terms.opens_at.map(rfc3339), state.terms.closes_at.map(rfc3339));
    Sale {
        status: state.phase(),
        start_at: start_at.clone(),
        end_at: end_at.clone(),
        product: ProductView {
            id: product.id.as_str(),
            name: &product.name,
            price: product.price.to_string(),
            original_price: product.original_price.as_ref().map(ToString::to_string),
            image: &product.image,
            description: &product.description,
            sale_start: start_at,
            sale_end: end_at,
            total_stock: state.terms.total_stock,
        },
    }
}

fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

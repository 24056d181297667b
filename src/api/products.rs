//! The products, and the state of their sales.

use actix_web::web::{Data, Json};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::{
    checkout::Checkout,
    domain::{Phase, Picture, Product, SaleState},
    http::{PublicUrl, extract::ProductParam, problem::Problem},
    stores::LedgerCatalogue,
};

/// `GET /products/{id}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SaleAnswer {
    status: Phase,
    start_at: Option<String>,
    end_at: Option<String>,
    product: ProductMember,
}

/// An element of `GET /products`
#[derive(Serialize)]
pub(super) struct CatalogueElement {
    #[serde(flatten)]
    sale: SaleAnswer,
    stock: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductMember {
    id: String,
    name: String,
    /// A decimal string, such as `"999.99"`.
    price: String,
    original_price: Option<String>,
    /// A URL; without `web.public_url`, perhaps a path of the shop. Empty: there is none.
    image: String,
    description: String,
    sale_start: Option<String>,
    sale_end: Option<String>,
    total_stock: u32,
}

/// `GET /products/{id}/stock`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StockAnswer {
    is_available: bool,
    stock: u32,
}

pub(super) async fn status(
    product: ProductParam,
    checkout: Data<Checkout>,
    shop: Data<PublicUrl>,
) -> Result<Json<SaleAnswer>, Problem> {
    let state = checkout.reader.sale(&product.id).await?;
    Ok(Json(SaleAnswer::new(&product, &state, &shop)))
}

pub(super) async fn stock(
    product: ProductParam,
    checkout: Data<Checkout>,
) -> Result<Json<StockAnswer>, Problem> {
    let state = checkout.reader.sale(&product.id).await?;
    Ok(Json(StockAnswer { is_available: state.phase() == Phase::Active, stock: state.remaining }))
}

pub(super) async fn list(
    catalogue: Data<LedgerCatalogue>,
    checkout: Data<Checkout>,
    shop: Data<PublicUrl>,
) -> Result<Json<Vec<CatalogueElement>>, Problem> {
    let (catalogue, mut elements) = (catalogue.current(), Vec::new());
    if catalogue.is_empty() {
        return Err(Problem::NotReady);
    }
    for product in catalogue.products() {
        let state = checkout.reader.sale(&product.id).await?;
        let sale = SaleAnswer::new(product, &state, &shop);
        elements.push(CatalogueElement { sale, stock: state.remaining });
    }
    Ok(Json(elements))
}

impl SaleAnswer {
    fn new(product: &Product, state: &SaleState, shop: &PublicUrl) -> Self {
        let (start_at, end_at) = (state.terms.opens_at.map(rfc3339), state.terms.closes_at.map(rfc3339));
        Self {
            status: state.phase(),
            start_at: start_at.clone(),
            end_at: end_at.clone(),
            product: ProductMember {
                id: product.id.to_string(),
                name: product.name.clone(),
                price: product.price.to_string(),
                original_price: product.original_price.as_ref().map(ToString::to_string),
                image: image(product, shop),
                description: product.description.clone(),
                sale_start: start_at,
                sale_end: end_at,
                total_stock: state.terms.total_stock,
            },
        }
    }
}

/// Whole where the shop's address is known: a page of another origin can't resolve a path.
fn image(product: &Product, shop: &PublicUrl) -> String {
    match Picture::parse(&product.image) {
        Ok(picture @ (Picture::CompiledIn(_) | Picture::File(_))) => {
            let path = picture.url();
            shop.absolute(&path).unwrap_or(path)
        }
        Ok(picture @ (Picture::Elsewhere(_) | Picture::None)) => picture.url(),
        // Of a product that was written before such names were refused.
        Err(_) => String::new(),
    }
}

fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

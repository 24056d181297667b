//! `GET /purchases/{purchase}`: the receipt, which has an address of its own.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query},
};
use askama::Template;
use serde::{Deserialize, Serialize};

use super::{state::Shop, text};
use crate::{
    checkout::{CheckoutError, PurchaseStatus},
    domain::{Product, ProductId, Purchase, PurchaseId, PurchaseState, RecordedPurchase, UserId},
    http::{
        Site,
        pages::{Moment, grouped, render, wants_json},
        problem::Problem,
    },
};

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage<'page> {
    site: &'page Site,
    product: &'page Product,
    id: PurchaseId,
    user: &'page str,
    unit: Option<String>,
    total: String,
    bought_at: Option<Moment>,
    state: StateAnswer,
}

/// The state alone, for the script of the page.
#[derive(Serialize)]
struct StateAnswer {
    state: PurchaseState,
    word: &'static str,
    note: String,
}

/// The link that a buyer gets names product and user. Without them only a
/// recorded purchase is found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    product: Option<String>,
    user_id: Option<String>,
}

/// A purchase that was found. One that was revoked or cancelled has lost its unit and time, and has
/// a reason instead.
struct Receipt {
    product: ProductId,
    user: UserId,
    purchase: Option<Purchase>,
    state: PurchaseState,
    reason: Option<String>,
}

pub(super) fn receipt_url(purchase: &Purchase) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("product", purchase.product.as_str())
        .append_pair("userId", purchase.user.as_str())
        .finish();
    format!("/purchases/{}?{query}", purchase.id)
}

pub(super) async fn receipt(
    shop: Data<Shop>,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = PurchaseId(id.parse().map_err(|_not_a_uuid| Problem::NotFound)?);
    let owner = Query::<Owner>::from_query(request.query_string());
    let owner = owner.map_err(|error| Problem::MalformedQuery(error.to_string()))?;
    let receipt = find(&shop, id, &owner).await?.ok_or(Problem::NotFound)?;
    let catalogue = shop.catalogue.current();
    let product = catalogue.get(receipt.product.as_str()).ok_or(Problem::NotFound)?;
    let (word, note) = text::state(receipt.state);
    let note = receipt.reason.unwrap_or_else(|| note.to_owned());
    let state = StateAnswer { state: receipt.state, word, note };
    if wants_json(&request) {
        return Ok(HttpResponse::Ok().json(state));
    }
    let purchase = receipt.purchase.as_ref();
    let page = ReceiptPage {
        site: &shop.site,
        product,
        id,
        user: receipt.user.as_str(),
        unit: purchase.filter(|purchase| purchase.unit > 0).map(|purchase| grouped(purchase.unit)),
        total: grouped(product.total_stock),
        bought_at: purchase.map(|purchase| Moment::from(purchase.admitted_at)),
        state,
    };
    Ok(render(StatusCode::OK, &page))
}

async fn find(shop: &Shop, id: PurchaseId, owner: &Owner) -> Result<Option<Receipt>, CheckoutError> {
    let catalogue = shop.catalogue.current();
    let product = owner.product.as_deref().and_then(|id| catalogue.get(id));
    let user = owner.user_id.as_deref().and_then(|user| UserId::parse(user).ok());
    if let (Some(Product { id: product, .. }), Some(user)) = (product, user) {
        let product = product.clone();
        match shop.checkout.reader.status(&product, &user).await? {
            PurchaseStatus::Purchased(purchase, state) if purchase.id == id => {
                return Ok(Some(Receipt { product, user, purchase: Some(purchase), state, reason: None }));
            }
            PurchaseStatus::Revoked(revocation) if revocation.id == id => {
                let (state, reason) = (revocation.state, Some(revocation.reason));
                return Ok(Some(Receipt { product, user, purchase: None, state, reason }));
            }
            _ => {}
        }
    }
    let recorded = shop.checkout.reader.purchase(id).await?;
    Ok(recorded.map(|RecordedPurchase { purchase, cancelled, .. }| {
        let (product, user) = (purchase.product.clone(), purchase.user.clone());
        let reason = cancelled.map(|(_, cancellation)| cancellation.reason);
        let state = if reason.is_some() { PurchaseState::Cancelled } else { PurchaseState::Confirmed };
        let purchase = reason.is_none().then_some(purchase);
        Receipt { product, user, purchase, state, reason }
    }))
}

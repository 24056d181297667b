//! `GET /purchases/{purchase}`: the receipt, with an address of its own.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query},
};
use askama::Template;
use chrono::SecondsFormat;
use serde::Deserialize;

use super::{Web, pages, words};
use crate::checkout::{CheckoutError, PurchaseStatus};
use crate::domain::{Product, ProductId, Purchase, PurchaseId, PurchaseState, UserId};

#[derive(Template)]
#[template(path = "receipt.html")]
struct Receipt<'page> {
    product: &'page Product,
    id: PurchaseId,
    user: &'page str,
    unit: Option<String>,
    total: String,
    bought_at: Option<String>,
    state: &'static str,
    word: &'static str,
    note: String,
}

/// Whose purchase it is: known to the link that a buyer gets. Without it only what is in the books is found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whose {
    product: Option<String>,
    user_id: Option<String>,
}

/// The address of a purchase's receipt.
pub(crate) fn address(purchase: &Purchase) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("product", purchase.product.as_str())
        .append_pair("userId", purchase.user.as_str())
        .finish();
    format!("/purchases/{}?{query}", purchase.id)
}

pub(crate) async fn receipt(
    web: Data<Web>,
    request: HttpRequest,
    id: Path<String>,
    whose: Query<Whose>,
) -> HttpResponse {
    let Ok(id) = id.parse().map(PurchaseId) else { return pages::not_found().await };
    let found = match find(&web, id, &whose).await {
        Ok(Some(found)) => found,
        Ok(None) => return pages::not_found().await,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no answer");
            return pages::try_again("We can't look it up at the moment. Try again shortly.");
        }
    };
    let Found { product, user, purchase, state, reason } = &found;
    let Some(product) = web.catalogue.get(product.as_str()) else { return pages::not_found().await };
    let (word, note) = words::state(*state);
    let note = reason.clone().unwrap_or_else(|| note.to_owned());
    if pages::wants_json(&request) {
        return pages::json(&serde_json::json!({ "state": state, "word": word, "note": note }));
    }
    let page = Receipt {
        product,
        id,
        user: user.as_str(),
        unit: purchase.as_ref().map(|purchase| words::grouped(purchase.unit)),
        total: words::grouped(product.total_stock),
        bought_at: purchase
            .as_ref()
            .map(|purchase| purchase.admitted_at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        state: state.as_str(),
        word,
        note,
    };
    pages::render(StatusCode::OK, &page)
}

struct Found {
    product: ProductId,
    user: UserId,
    purchase: Option<Purchase>,
    state: PurchaseState,
    reason: Option<String>,
}

async fn find(web: &Web, id: PurchaseId, whose: &Whose) -> Result<Option<Found>, CheckoutError> {
    let product =
        whose.product.as_deref().and_then(|id| web.catalogue.get(id)).map(|product| product.id.clone());
    let user = whose.user_id.as_deref().and_then(|user| UserId::parse(user).ok());
    if let (Some(product), Some(user)) = (product, user) {
        match web.checkout.reader.status(&product, &user).await? {
            PurchaseStatus::Purchased(purchase, state) if purchase.id == id => {
                return Ok(Some(Found { product, user, purchase: Some(purchase), state, reason: None }));
            }
            PurchaseStatus::Revoked(revocation) if revocation.id == id => {
                let (state, reason) = (PurchaseState::Revoked, Some(revocation.reason));
                return Ok(Some(Found { product, user, purchase: None, state, reason }));
            }
            _ => {}
        }
    }
    let recorded = web.checkout.reader.purchase(id).await?;
    Ok(recorded.map(|purchase| {
        let (product, user) = (purchase.product.clone(), purchase.user.clone());
        Found { product, user, purchase: Some(purchase), state: PurchaseState::Confirmed, reason: None }
    }))
}

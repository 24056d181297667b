//! Buying, and asking what was bought.

use actix_web::{
    HttpRequest,
    web::{Data, Json, Payload},
};
use serde::Serialize;

use super::{
    Api, Problem,
    body::{body_user, query_user},
    products::product,
};
use crate::checkout::{Answer, PurchaseStatus};
use crate::domain::{Durability, Outcome, Purchase, PurchaseId, PurchaseState};

/// `POST /products/{id}/buy`
#[derive(Serialize)]
pub(super) struct BuyAnswer {
    status: Outcome,
    #[serde(flatten)]
    purchase: Option<PurchaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<Durability>,
}

/// `GET /products/{id}/purchase`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusAnswer {
    has_purchased: bool,
    #[serde(flatten)]
    purchase: Option<PurchaseView>,
    /// Why the purchase was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PurchaseView {
    purchase_id: PurchaseId,
    /// A purchase that was taken back has no unit any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<u32>,
    state: PurchaseState,
}

fn view(purchase: &Purchase, state: PurchaseState) -> PurchaseView {
    PurchaseView { purchase_id: purchase.id, unit: Some(purchase.unit), state }
}

pub(super) async fn buy(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<BuyAnswer>, Problem> {
    let product = product(&api, &request)?;
    let user = body_user(&request, payload, api.body_timeout).await?;
    let bought = api.checkout.buy(&product.id, &user).await;
    let answer = bought.map_err(|error| Problem::of_attempt(&error))?;
    let status = answer.outcome();
    Ok(Json(match &answer {
        Answer::Success(purchase, state, durability) => {
            BuyAnswer { status, purchase: Some(view(purchase, *state)), durability: Some(*durability) }
        }
        Answer::Purchased(purchase, state) => {
            BuyAnswer { status, purchase: Some(view(purchase, *state)), durability: None }
        }
        Answer::Refused(_) => BuyAnswer { status, purchase: None, durability: None },
    }))
}

pub(super) async fn status(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<StatusAnswer>, Problem> {
    let product = product(&api, &request)?;
    let user = query_user(&request, payload, api.body_timeout).await?;
    Ok(Json(match api.checkout.reader.status(&product.id, &user).await? {
        PurchaseStatus::Purchased(purchase, state) => {
            StatusAnswer { has_purchased: true, purchase: Some(view(&purchase, state)), reason: None }
        }
        PurchaseStatus::Revoked(revocation) => StatusAnswer {
            has_purchased: false,
            purchase: Some(PurchaseView {
                purchase_id: revocation.id,
                unit: None,
                state: PurchaseState::Revoked,
            }),
            reason: Some(revocation.reason),
        },
        PurchaseStatus::None => StatusAnswer { has_purchased: false, purchase: None, reason: None },
    }))
}

//! Buying, and reading the state of a purchase.

use actix_web::web::{Data, Json};
use serde::Serialize;

use crate::{
    checkout::{Answer, Checkout, PurchaseStatus},
    domain::{Durability, Outcome, Purchase, PurchaseId, PurchaseState, Revocation},
    http::{
        extract::{Buyer, BuyerQuery, ProductParam},
        problem::Problem,
    },
};

/// `POST /products/{id}/buy`
#[derive(Serialize)]
pub(super) struct BuyAnswer {
    status: Outcome,
    #[serde(flatten)]
    purchase: Option<PurchaseMembers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<Durability>,
}

/// `GET /products/{id}/purchase`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusAnswer {
    has_purchased: bool,
    #[serde(flatten)]
    purchase: Option<PurchaseMembers>,
    /// Why the purchase was revoked or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PurchaseMembers {
    purchase_id: PurchaseId,
    /// A purchase that was revoked, cancelled, or made elsewhere and imported has no unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<u32>,
    state: PurchaseState,
}

impl PurchaseMembers {
    fn new(purchase: &Purchase, state: PurchaseState) -> Self {
        let unit = (purchase.unit > 0 && state != PurchaseState::Cancelled).then_some(purchase.unit);
        Self { purchase_id: purchase.id, unit, state }
    }
}

/// An unknown product is answered before the body is read.
pub(super) async fn buy(
    product: ProductParam,
    buyer: Buyer,
    checkout: Data<Checkout>,
) -> Result<Json<BuyAnswer>, Problem> {
    let answer = checkout.buy(&product.id, &buyer.0).await.map_err(|error| Problem::of_attempt(&error))?;
    let (purchase, durability) = match &answer {
        Answer::Success(purchase, state, durability) => (Some((purchase, *state)), Some(*durability)),
        Answer::Purchased(purchase, state) => (Some((purchase, *state)), None),
        Answer::Refused(_) => (None, None),
    };
    let purchase = purchase.map(|(purchase, state)| PurchaseMembers::new(purchase, state));
    Ok(Json(BuyAnswer { status: answer.outcome(), purchase, durability }))
}

pub(super) async fn status(
    product: ProductParam,
    buyer: BuyerQuery,
    checkout: Data<Checkout>,
) -> Result<Json<StatusAnswer>, Problem> {
    let (has_purchased, purchase, reason) = match checkout.reader.status(&product.id, &buyer.0).await? {
        PurchaseStatus::Purchased(purchase, state) => {
            (true, Some(PurchaseMembers::new(&purchase, state)), None)
        }
        PurchaseStatus::Revoked(revocation) => {
            let Revocation { id, state, .. } = revocation;
            let purchase = PurchaseMembers { purchase_id: id, unit: None, state };
            (false, Some(purchase), Some(revocation.reason))
        }
        PurchaseStatus::None => (false, None, None),
    };
    Ok(Json(StatusAnswer { has_purchased, purchase, reason }))
}

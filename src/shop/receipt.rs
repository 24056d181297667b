//! `GET /purchases/{purchase}`: the receipt, which has an address of its own.
//!
//! It says what was bought under which name and price, whatever the product is called or costs now,
//! and it exists as long as the ledger has the purchase.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{state::Shop, text};
use crate::{
    checkout::{CheckoutError, PurchaseStatus},
    domain::{
        Offer, Offers, ProductId, Purchase, PurchaseId, PurchaseState, RecordedPurchase, Revocation, UserId,
    },
    http::{
        Site,
        extract::read_query,
        pages::{Moment, Numbers, render, wants_json},
        problem::Problem,
    },
};

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage<'page> {
    site: &'page Site,
    offer: &'page Offer,
    numbers: &'page Numbers,
    id: PurchaseId,
    user: &'page str,
    /// `No. 2` and `of 10,000`; either may be empty.
    number: String,
    of: String,
    bought_at: Option<Moment>,
    state: StateAnswer,
    /// URL of the product's page, if it has one.
    product_url: Option<String>,
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

/// A purchase that was found.
struct Receipt {
    product: ProductId,
    user: UserId,
    /// 0: none; a purchase that was revoked or cancelled has lost it.
    unit: u32,
    /// `None`: it was revoked.
    bought_at: Option<DateTime<Utc>>,
    sold_as: SoldAs,
    state: PurchaseState,
    /// Why it was revoked or cancelled.
    reason: Option<String>,
}

/// Which offer of its product a purchase was sold as.
enum SoldAs {
    /// As its row says.
    Number(u32),
    /// It has no row: the one that held then, which its row will say.
    At(DateTime<Utc>),
}

impl Receipt {
    /// Of a purchase that admission has.
    fn admitted(purchase: Purchase, state: PurchaseState) -> Self {
        let Purchase { product, user, unit, admitted_at, .. } = purchase;
        let sold_as = SoldAs::At(admitted_at);
        Self { product, user, unit, bought_at: Some(admitted_at), sold_as, state, reason: None }
    }

    fn recorded(row: RecordedPurchase) -> Self {
        let RecordedPurchase { purchase, offer, cancelled, .. } = row;
        let receipt = Self::admitted(purchase, PurchaseState::Confirmed);
        let sold_as = SoldAs::Number(offer);
        match cancelled {
            None => Self { sold_as, ..receipt },
            Some((_, cancellation)) => Self {
                sold_as,
                unit: 0,
                state: PurchaseState::Cancelled,
                reason: Some(cancellation.reason),
                ..receipt
            },
        }
    }

    fn revoked(product: ProductId, user: UserId, revocation: Revocation) -> Self {
        let Revocation { id, reason, state } = revocation;
        let (sold_as, reason) = (SoldAs::At(id.made_at()), Some(reason));
        Self { product, user, unit: 0, bought_at: None, sold_as, state, reason }
    }

    fn offer_in(&self, offers: &Offers) -> Option<Offer> {
        let offer = match self.sold_as {
            SoldAs::Number(number) => offers.get(&self.product, number),
            SoldAs::At(instant) => offers.at(&self.product, instant),
        };
        offer.cloned()
    }
}

pub(super) fn receipt_url(site: &Site, purchase: &Purchase) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("product", purchase.product.as_str())
        .append_pair("userId", purchase.user.as_str())
        .finish();
    site.href(&format!("/purchases/{}?{query}", purchase.id))
}

pub(super) async fn receipt(
    shop: Data<Shop>,
    id: Path<String>,
    numbers: Numbers,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = PurchaseId(id.parse().map_err(|_not_a_uuid| Problem::NotFound)?);
    let owner: Owner = read_query(&request)?;
    let receipt = find(&shop, id, &owner).await?.ok_or(Problem::NotFound)?;
    let offer = match receipt.offer_in(&shop.catalogue.offers()) {
        Some(offer) => offer,
        None => receipt.offer_in(&shop.checkout.reader.offers().await?).ok_or(Problem::NotFound)?,
    };
    let (word, note) = text::state(receipt.state);
    let note = receipt.reason.unwrap_or_else(|| note.to_owned());
    let state = StateAnswer { state: receipt.state, word, note };
    if wants_json(&request) {
        return Ok(HttpResponse::Ok().json(state));
    }
    let catalogue = shop.catalogue.current();
    let product = catalogue.get(receipt.product.as_str());
    let (number, of) =
        text::number_of(&numbers, receipt.unit, product.map_or(0, |product| product.total_stock));
    let page = ReceiptPage {
        site: &shop.site,
        offer: &offer,
        numbers: &numbers,
        id,
        user: receipt.user.as_str(),
        number,
        of,
        bought_at: receipt.bought_at.map(Moment::from),
        state,
        product_url: product.map(|product| shop.site.href(&format!("/products/{}", product.id))),
    };
    Ok(render(StatusCode::OK, &page))
}

/// Asks admission first, because what is on its way is only there; and then the ledger, which has
/// what admission does not have or can't tell at the moment.
async fn find(shop: &Shop, id: PurchaseId, owner: &Owner) -> Result<Option<Receipt>, CheckoutError> {
    let reader = &shop.checkout.reader;
    let catalogue = shop.catalogue.current();
    let product = owner.product.as_deref().and_then(|id| catalogue.get(id));
    let user = owner.user_id.as_deref().and_then(|user| UserId::parse(user).ok());
    let mut admitted = Ok(None);
    if let (Some(product), Some(user)) = (product, user) {
        match reader.status(&product.id, &user).await {
            Ok(PurchaseStatus::Purchased(purchase, state)) if purchase.id == id => {
                return Ok(Some(Receipt::admitted(purchase, state)));
            }
            Ok(PurchaseStatus::Revoked(revocation)) if revocation.id == id => {
                admitted = Ok(Some(Receipt::revoked(product.id.clone(), user, revocation)));
            }
            Ok(_) => {}
            Err(error) => admitted = Err(error),
        }
    }
    match reader.purchase(id).await {
        Ok(Some(row)) => Ok(Some(Receipt::recorded(row))),
        Ok(None) => admitted,
        Err(error) => match admitted {
            Ok(None) => Err(error),
            admitted => admitted,
        },
    }
}

//! `POST /products/{product}/buy`

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};

use super::{
    input::UserForm,
    product::{Form, product_page},
    receipt::receipt_url,
    reply::{Bought, Reply},
    state::Shop,
    text, visitor,
};
use crate::{
    checkout::{Answer, CheckoutError},
    domain::{Product, PurchaseState, UserId},
    http::{
        Site,
        extract::ProductParam,
        pages::{Numbers, see_other, wants_json},
    },
    observability::Severity,
};

pub(super) async fn buy(
    product: ProductParam,
    form: UserForm,
    shop: Data<Shop>,
    numbers: Numbers,
    request: HttpRequest,
) -> HttpResponse {
    let answer = async |user: &str, reply| answer(&shop, &request, &numbers, &product, user, reply).await;
    let user = match UserId::parse(form.0.trim()) {
        Ok(user) => user,
        Err(error) => return answer(&form.0, error.into()).await,
    };
    let response = match shop.checkout.buy(&product.id, &user).await {
        Ok(Answer::Success(purchase, ..) | Answer::Purchased(purchase, _)) if !wants_json(&request) => {
            // POST, redirect, GET: a reload of the receipt does not send the form again.
            see_other(&receipt_url(&shop.site, &purchase))
        }
        Ok(bought) => answer(user.as_str(), outcome(&shop.site, &numbers, &product, &bought)).await,
        Err(error) => {
            let mut response = answer(user.as_str(), no_decision(&error)).await;
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    };
    visitor::remember(response, &shop.site.public, &user)
}

/// The product page with a reply; for its script, the reply alone.
async fn answer(
    shop: &Shop,
    request: &HttpRequest,
    numbers: &Numbers,
    product: &Product,
    user: &str,
    reply: Reply,
) -> HttpResponse {
    if wants_json(request) {
        return HttpResponse::Ok().json(reply);
    }
    product_page(shop, numbers, product, user, Some((Form::Buy, reply))).await
}

fn outcome(site: &Site, numbers: &Numbers, product: &Product, answer: &Answer) -> Reply {
    match answer {
        Answer::Success(purchase, ..) => {
            Reply::Bought(Bought::new(site, numbers, text::YOURS, purchase, product.total_stock))
        }
        Answer::Purchased(_, PurchaseState::Cancelled) => {
            Reply::notice(Severity::Error, "Your purchase was cancelled, and only one is possible.")
        }
        Answer::Purchased(purchase, _) => {
            Reply::Bought(Bought::new(site, numbers, text::YOURS_ALREADY, purchase, product.total_stock))
        }
        Answer::Refused(outcome) => {
            let (severity, text) = text::refusal(*outcome);
            Reply::notice(severity, text)
        }
    }
}

fn no_decision(error: &CheckoutError) -> Reply {
    tracing::debug!(error = error as &dyn std::error::Error, "an attempt has no decision");
    let unsettled = error.is_unknown();
    let text = if unsettled {
        "We don't know yet whether you have one. Try again: you can't get two."
    } else {
        "The sale is not ready. Nothing was bought; try again in a moment."
    };
    Reply::Notice { severity: Severity::Warning, text: text.to_owned(), unsettled }
}

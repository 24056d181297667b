//! `POST /products/{product}/buy`

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};

use super::{
    input::UserForm,
    product::{notice, product_page},
    receipt::receipt_url,
    text, visitor,
};
use crate::{
    checkout::{Answer, Checkout, CheckoutError},
    domain::{Product, Purchase, PurchaseState, UserId},
    http::{
        extract::ProductParam,
        pages::{Notice, grouped, see_other, wants_json},
    },
    observability::Severity,
};

pub(super) async fn buy(
    product: ProductParam,
    form: UserForm,
    checkout: Data<Checkout>,
    request: HttpRequest,
) -> HttpResponse {
    let user = match UserId::parse(form.0.trim()) {
        Ok(user) => user,
        Err(error) => {
            let notice = Notice::new(Severity::Error, error.to_string());
            return answer(&checkout, &request, &product, &form.0, notice).await;
        }
    };
    let response = match checkout.buy(&product.id, &user).await {
        Ok(Answer::Success(purchase, ..) | Answer::Purchased(purchase, _)) if !wants_json(&request) => {
            // POST, redirect, GET: a reload of the receipt does not send the form again.
            see_other(&receipt_url(&purchase))
        }
        Ok(bought) => {
            answer(&checkout, &request, &product, user.as_str(), outcome_notice(&product, &bought)).await
        }
        Err(error) => {
            let notice = Notice::new(Severity::Warning, no_decision(&error));
            let mut response = answer(&checkout, &request, &product, user.as_str(), notice).await;
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    };
    visitor::remember(response, &user)
}

/// The product page with a notice; for a script, the notice alone.
async fn answer(
    checkout: &Checkout,
    request: &HttpRequest,
    product: &Product,
    user: &str,
    message: Notice,
) -> HttpResponse {
    if wants_json(request) {
        return notice(&message);
    }
    product_page(checkout, product, user, Some(message)).await
}

fn outcome_notice(product: &Product, answer: &Answer) -> Notice {
    let bought = |purchase: &Purchase, sentence: &str| Notice {
        severity: Severity::Info,
        text: format!("{sentence} No. {} of {}.", grouped(purchase.unit), grouped(product.total_stock)),
        receipt: Some(receipt_url(purchase)),
    };
    match answer {
        Answer::Success(purchase, ..) => bought(purchase, "It is yours:"),
        Answer::Purchased(purchase, PurchaseState::Cancelled) => Notice {
            severity: Severity::Error,
            text: "Your purchase was cancelled, and only one is possible.".to_owned(),
            receipt: Some(receipt_url(purchase)),
        },
        // Made elsewhere.
        Answer::Purchased(purchase, _) if purchase.unit == 0 => Notice {
            severity: Severity::Info,
            text: "You already have one.".to_owned(),
            receipt: Some(receipt_url(purchase)),
        },
        Answer::Purchased(purchase, _) => bought(purchase, "You already have one:"),
        Answer::Refused(outcome) => {
            let (severity, text) = text::refusal(*outcome);
            Notice::new(severity, text)
        }
    }
}

fn no_decision(error: &CheckoutError) -> &'static str {
    tracing::debug!(error = error as &dyn std::error::Error, "an attempt has no decision");
    if error.is_unknown() {
        "We don't know yet whether you have one. Try again: you can't get two."
    } else {
        "The sale is not ready. Nothing was bought; try again in a moment."
    }
}

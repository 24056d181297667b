//! One handler a page.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, Payload, Query},
};
use askama::Template;
use serde::Deserialize;

use super::Web;
use crate::checkout::{Answer, CheckoutError, PurchaseStatus};
use crate::domain::{Outcome, Phase, Product, PurchaseState, SaleState, UserId};
use crate::request_body::{self, BodyError};

#[derive(Template)]
#[template(path = "index.html")]
struct Index<'page> {
    products: &'page [Product],
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'page> {
    product: &'page Product,
    phase: &'static str,
    phase_words: &'static str,
    /// Left, of how many.
    stock: Option<(u32, u32)>,
    message: Option<String>,
    user: &'page str,
}

#[derive(Template)]
#[template(path = "purchase.html")]
struct PurchasePage<'page> {
    product: &'page Product,
    status: PurchaseStatus,
    user: &'page str,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'page> {
    title: &'page str,
    detail: &'page str,
}

/// What a form or a link carries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields {
    #[serde(default)]
    user_id: String,
}

pub(super) async fn index(web: Data<Web>) -> HttpResponse {
    render(StatusCode::OK, &Index { products: web.catalogue.products() })
}

pub(super) async fn product(web: Data<Web>, id: Path<String>, fields: Query<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    product_page(&web, product, &fields.user_id, None).await
}

pub(super) async fn buy(
    web: Data<Web>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let fields = match form(&web, &request, payload).await {
        Ok(fields) => fields,
        Err(refused) => return refused,
    };
    let user = match UserId::parse(fields.user_id.trim()) {
        Ok(user) => user,
        Err(error) => return product_page(&web, product, &fields.user_id, Some(error.to_string())).await,
    };
    match web.checkout.buy(&product.id, &user).await {
        // A reload of the page that follows buys nothing again.
        Ok(Answer::Success(..) | Answer::Purchased(..)) => {
            let query = query_of(&user);
            let location = format!("/products/{}/purchase?{query}", product.id);
            HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
        }
        Ok(Answer::Refused(outcome)) => {
            product_page(&web, product, user.as_str(), Some(refusal(outcome).to_owned())).await
        }
        Err(error) => no_decision(&error),
    }
}

/// Reads a form; the error is the page that refuses it.
async fn form(web: &Web, request: &HttpRequest, payload: Payload) -> Result<Fields, HttpResponse> {
    let read = request_body::read(request, payload, "application/x-www-form-urlencoded", web.body_timeout);
    let body = read.await.map_err(|error| {
        let status = match &error {
            BodyError::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        refused(status, &error)
    })?;
    let body = std::str::from_utf8(&body).map_err(|error| refused(StatusCode::BAD_REQUEST, &error))?;
    // A form is written like a query.
    let fields = Query::<Fields>::from_query(body);
    Ok(fields.map_err(|error| refused(StatusCode::BAD_REQUEST, &error))?.into_inner())
}

pub(super) async fn purchase(web: Data<Web>, id: Path<String>, fields: Query<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let user = match UserId::parse(fields.user_id.trim()) {
        Ok(user) => user,
        Err(error) => return product_page(&web, product, &fields.user_id, Some(error.to_string())).await,
    };
    match web.checkout.status(&product.id, &user).await {
        Ok(status) => render(StatusCode::OK, &PurchasePage { product, status, user: user.as_str() }),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no answer");
            try_again("We can't look it up at the moment. Try again shortly.")
        }
    }
}

pub(super) async fn not_found() -> HttpResponse {
    let page = ErrorPage { title: "Not found", detail: "There is no such page." };
    render(StatusCode::NOT_FOUND, &page)
}

pub(super) fn refused(status: StatusCode, why: &dyn std::fmt::Display) -> HttpResponse {
    render(status, &ErrorPage { title: "That did not work", detail: &why.to_string() })
}

async fn product_page(web: &Web, product: &Product, user: &str, message: Option<String>) -> HttpResponse {
    let sale = web.checkout.sale(&product.id).await;
    let (phase, phase_words) = phase(sale.as_ref().ok());
    let stock = sale.ok().map(|sale| (sale.remaining, sale.terms.total_stock));
    let status = if stock.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    render(status, &ProductPage { product, phase, phase_words, stock, message, user })
}

fn phase(sale: Option<&SaleState>) -> (&'static str, &'static str) {
    match sale.map(SaleState::phase) {
        None => ("NOT_READY", "We are getting ready. Try again in a moment."),
        Some(Phase::Upcoming) => ("UPCOMING", "Coming soon"),
        Some(Phase::Active) => ("ACTIVE", "Live now"),
        Some(Phase::SoldOut) => ("SOLD_OUT", "Sold out"),
        Some(Phase::Ended) => ("ENDED", "The sale has ended"),
        Some(Phase::Paused) => ("PAUSED", "Paused for a moment"),
    }
}

fn refusal(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::SoldOut => "Sorry, it is sold out.",
        Outcome::Upcoming => "It is not open yet.",
        Outcome::Ended => "The sale has ended.",
        Outcome::Paused => "The sale is paused. Try again in a moment.",
        Outcome::Success | Outcome::Purchased => "It is yours.",
    }
}

fn no_decision(error: &CheckoutError) -> HttpResponse {
    tracing::debug!(error = error as &dyn std::error::Error, "no decision");
    try_again(if error.is_unknown() {
        "We can't tell yet whether you have one. Try again: you can't get two."
    } else {
        "We are not ready. Nothing was bought; try again in a moment."
    })
}

fn try_again(detail: &str) -> HttpResponse {
    render(StatusCode::SERVICE_UNAVAILABLE, &ErrorPage { title: "Try again", detail })
}

fn query_of(user: &UserId) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("userId", user.as_str()).finish()
}

fn render(status: StatusCode, page: &impl Template) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    match page.render() {
        Ok(html) => response.content_type("text/html; charset=utf-8").body(html),
        Err(error) => {
            tracing::error!(%error, "a page can't be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

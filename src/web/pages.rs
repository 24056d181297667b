//! One handler a page.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Form, Path, Query},
};
use askama::Template;
use serde::Deserialize;

use super::Web;
use crate::checkout::{Answer, CheckoutError, PurchaseStatus};
use crate::domain::{Outcome, Phase, Product, PurchaseState, SaleState, UserId};

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

pub(super) async fn buy(web: Data<Web>, id: Path<String>, fields: Form<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
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
        Err(error) => trouble(&error),
    }
}

pub(super) async fn purchase(web: Data<Web>, id: Path<String>, fields: Query<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let user = match UserId::parse(fields.user_id.trim()) {
        Ok(user) => user,
        Err(error) => return product_page(&web, product, &fields.user_id, Some(error.to_string())).await,
    };
    match web.checkout.status(&product.id, &user).await {
        Ok(status) => render(StatusCode::OK, &PurchasePage { product, status, user: user.as_str() }),
        Err(error) => trouble(&error),
    }
}

pub(super) async fn not_found() -> HttpResponse {
    let page = ErrorPage { title: "Not found", detail: "There is no such page." };
    render(StatusCode::NOT_FOUND, &page)
}

pub(super) fn bad_request(error: &dyn std::fmt::Display) -> HttpResponse {
    let page = ErrorPage { title: "That did not work", detail: &error.to_string() };
    render(StatusCode::BAD_REQUEST, &page)
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

fn trouble(error: &CheckoutError) -> HttpResponse {
    tracing::debug!(error = error as &dyn std::error::Error, "no decision");
    let detail = if error.is_unknown() {
        "We can't tell yet whether you have one. Try again: you can't get two."
    } else {
        "We are not ready. Nothing was bought; try again in a moment."
    };
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

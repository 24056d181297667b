//! The products and what can be done with them: one handler a page.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as Age},
    http::{StatusCode, header},
    web::{Data, Path, Payload, Query},
};
use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::{
    Web, receipt, safety,
    words::{self, grouped},
};
use crate::checkout::{Answer, CheckoutError, PurchaseStatus};
use crate::domain::{Outcome, Product, SaleState, UserId};
use crate::request_body::{self, BodyError};

pub(super) use words::phase_name;

/// Remembers a visitor's id, on this site alone.
const VISITOR: &str = "visitor";

#[derive(Template)]
#[template(path = "index.html")]
struct Index<'page> {
    products: &'page [Product],
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'page> {
    product: &'page Product,
    view: View,
    words_json: String,
    /// What is saved against the original price.
    saved: Option<String>,
    /// When it opens or ends, for those without scripts.
    moment: Option<String>,
    message: Option<&'page str>,
    mood: &'page str,
    receipt: Option<String>,
    user: &'page str,
    refresh: bool,
}

/// A sale as a page shows it.
struct View {
    phase: &'static str,
    stock: Option<u32>,
    total: u32,
    opens_at: Option<DateTime<Utc>>,
    closes_at: Option<DateTime<Utc>>,
}

impl View {
    fn of(product: &Product, sale: Option<&SaleState>) -> Self {
        match sale {
            Some(sale) => Self {
                phase: phase_name(sale.phase()),
                stock: Some(sale.remaining),
                total: sale.terms.total_stock,
                opens_at: sale.terms.opens_at,
                closes_at: sale.terms.closes_at,
            },
            None => Self {
                phase: words::NOT_READY,
                stock: None,
                total: product.total_stock,
                opens_at: product.sale_start,
                closes_at: product.sale_end,
            },
        }
    }

    fn stock_text(&self) -> String {
        self.stock.map(|stock| stock.to_string()).unwrap_or_default()
    }

    fn stock_shown(&self) -> String {
        self.stock.map_or("?".to_owned(), grouped)
    }

    fn total_shown(&self) -> String {
        grouped(self.total)
    }

    fn opens_at_text(&self) -> String {
        self.opens_at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default()
    }

    fn closes_at_text(&self) -> String {
        self.closes_at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default()
    }

    fn moment(&self) -> Option<String> {
        let shown = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match self.phase {
            "UPCOMING" => self.opens_at.map(|at| format!("Opens at {}", shown(at))),
            "ACTIVE" | "PAUSED" => self.closes_at.map(|at| format!("Ends at {}", shown(at))),
            _ => None,
        }
    }
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
    user_id: Option<String>,
}

/// Something that is said on a product's page.
struct Said<'page> {
    text: &'page str,
    mood: &'page str,
    receipt: Option<String>,
}

pub(super) async fn index(web: Data<Web>) -> HttpResponse {
    match web.catalogue.products() {
        // Nobody needs a list of one.
        [only] => see_other(&format!("/products/{}", only.id)),
        products => render(StatusCode::OK, &Index { products }),
    }
}

pub(super) async fn product(
    web: Data<Web>,
    request: HttpRequest,
    id: Path<String>,
    fields: Query<Fields>,
) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let user = fields.user_id.clone().or_else(|| visitor(&request)).unwrap_or_default();
    product_page(&web, product, &user, None).await
}

fn visitor(request: &HttpRequest) -> Option<String> {
    let user = request.cookie(VISITOR)?.value().to_owned();
    // A cookie's quotes and separators are escaped.
    let decoded = url::form_urlencoded::parse(format!("u={user}").as_bytes()).next()?.1.into_owned();
    UserId::parse(&decoded).is_ok().then_some(decoded)
}

fn remember(user: &UserId) -> Cookie<'static> {
    let value: String = url::form_urlencoded::byte_serialize(user.as_str().as_bytes()).collect();
    let cookie = Cookie::build(VISITOR, value).path("/").http_only(true);
    cookie.same_site(SameSite::Strict).max_age(Age::days(30)).finish()
}

pub(super) async fn buy(
    web: Data<Web>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    if !safety::is_our_own(&request) {
        return refused(
            StatusCode::FORBIDDEN,
            &"This form was not sent from our own page. Nothing was bought.",
        );
    }
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let fields = match form(&web, &request, payload).await {
        Ok(fields) => fields,
        Err(refused) => return refused,
    };
    let given = fields.user_id.unwrap_or_default();
    let user = match UserId::parse(given.trim()) {
        Ok(user) => user,
        Err(error) => {
            let said = Said { text: &error.to_string(), mood: "bad", receipt: None };
            return answer(&web, &request, product, &given, said).await;
        }
    };
    let bought = web.checkout.buy(&product.id, &user).await;
    let mut response = match &bought {
        Ok(Answer::Success(purchase, ..) | Answer::Purchased(purchase, _)) => {
            let address = receipt::address(purchase);
            if !wants_json(&request) {
                // A reload of the page that follows buys nothing again.
                return with_visitor(see_other(&address), &user);
            }
            let (unit, total) = (grouped(purchase.unit), grouped(product.total_stock));
            let text = match bought.as_ref().map(Answer::outcome) {
                Ok(Outcome::Purchased) => format!("You already have one: No. {unit} of {total}."),
                _ => format!("It is yours: No. {unit} of {total}."),
            };
            let said = Said { text: &text, mood: "good", receipt: Some(address) };
            answer(&web, &request, product, user.as_str(), said).await
        }
        Ok(Answer::Refused(outcome)) => {
            let (text, mood) = words::refusal(*outcome);
            answer(&web, &request, product, user.as_str(), Said { text, mood, receipt: None }).await
        }
        Err(error) => {
            let said = Said { text: no_decision(error), mood: "wait", receipt: None };
            answer(&web, &request, product, user.as_str(), said).await
        }
    };
    if bought.is_err() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    with_visitor(response, &user)
}

fn with_visitor(mut response: HttpResponse, user: &UserId) -> HttpResponse {
    if let Err(error) = response.add_cookie(&remember(user)) {
        tracing::debug!(%error, "a visitor is not remembered");
    }
    response
}

/// The product's page with something said on it; or that alone, for a script.
async fn answer(
    web: &Web,
    request: &HttpRequest,
    product: &Product,
    user: &str,
    said: Said<'_>,
) -> HttpResponse {
    if wants_json(request) {
        let Said { text, mood, receipt } = said;
        return json(&serde_json::json!({ "text": text, "mood": mood, "receipt": receipt }));
    }
    product_page(web, product, user, Some(said)).await
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

/// `GET /products/{product}/purchase`: have I bought?
pub(super) async fn purchase(web: Data<Web>, id: Path<String>, fields: Query<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let given = fields.user_id.clone().unwrap_or_default();
    let user = match UserId::parse(given.trim()) {
        Ok(user) => user,
        Err(error) => {
            let said = Said { text: &error.to_string(), mood: "bad", receipt: None };
            return product_page(&web, product, &given, Some(said)).await;
        }
    };
    match web.checkout.status(&product.id, &user).await {
        Ok(PurchaseStatus::Purchased(purchase, _)) => see_other(&receipt::address(&purchase)),
        Ok(PurchaseStatus::Revoked(revocation)) => {
            let text = format!("{user}, your purchase was taken back. {}", revocation.reason);
            product_page(&web, product, user.as_str(), Some(Said { text: &text, mood: "bad", receipt: None }))
                .await
        }
        Ok(PurchaseStatus::None) => {
            let text = format!("{user} has not bought one.");
            product_page(
                &web,
                product,
                user.as_str(),
                Some(Said { text: &text, mood: "wait", receipt: None }),
            )
            .await
        }
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

async fn product_page(web: &Web, product: &Product, user: &str, said: Option<Said<'_>>) -> HttpResponse {
    let sale = web.checkout.sale(&product.id).await.ok();
    let status = if sale.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let view = View::of(product, sale.as_ref());
    let saved = product.original_price.as_ref().and_then(|original| original.minus(&product.price));
    let (text, mood, receipt) = match said {
        Some(Said { text, mood, receipt }) => (Some(text), mood, receipt),
        None => (None, "", None),
    };
    let page = ProductPage {
        product,
        words_json: words::json(),
        saved: saved.map(|saved| format!("{saved} {}", saved.currency())),
        moment: view.moment(),
        view,
        message: text,
        mood,
        receipt,
        user,
        // A page that answers something must stay.
        refresh: text.is_none(),
    };
    render(status, &page)
}

fn no_decision(error: &CheckoutError) -> &'static str {
    tracing::debug!(error = error as &dyn std::error::Error, "no decision");
    if error.is_unknown() {
        "We can't tell yet whether you have one. Try again: you can't get two."
    } else {
        "We are not ready. Nothing was bought; try again in a moment."
    }
}

pub(super) fn try_again(detail: &str) -> HttpResponse {
    render(StatusCode::SERVICE_UNAVAILABLE, &ErrorPage { title: "Try again", detail })
}

/// Whether a script asks, which has a page already.
pub(super) fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.trim() == "application/json")
}

pub(super) fn json(value: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}

pub(super) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

pub(super) fn render(status: StatusCode, page: &impl Template) -> HttpResponse {
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

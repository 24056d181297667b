//! What visitors send: buying, and asking whether they have bought. Forms do, and scripts may.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as Age},
    http::StatusCode,
    web::{Data, Path, Payload, Query},
};
use serde::Deserialize;

use super::{
    Web,
    pages::{Said, json, not_found, product_page, refused, see_other, try_again, wants_json},
    receipt, safety,
    words::{self, grouped},
};
use crate::checkout::{Answer, CheckoutError, PurchaseStatus};
use crate::domain::{Outcome, Product, UserId};
use crate::http::body::{self as request_body, BodyError};

/// Remembers a visitor's id, on this site alone.
const VISITOR: &str = "visitor";

/// What a form or a link carries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    pub(crate) user_id: Option<String>,
}

/// The id that a visitor used last.
pub(crate) fn visitor(request: &HttpRequest) -> Option<String> {
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

pub(crate) async fn buy(
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
pub(crate) async fn purchase(web: Data<Web>, id: Path<String>, fields: Query<Fields>) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let given = fields.user_id.clone().unwrap_or_default();
    let user = match UserId::parse(given.trim()) {
        Ok(user) => user,
        Err(error) => {
            let said = Said { text: &error.to_string(), mood: "bad", receipt: None };
            return product_page(&web, product, &given, Some(said)).await;
        }
    };
    match web.checkout.reader.status(&product.id, &user).await {
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

fn no_decision(error: &CheckoutError) -> &'static str {
    tracing::debug!(error = error as &dyn std::error::Error, "no decision");
    if error.is_unknown() {
        "We can't tell yet whether you have one. Try again: you can't get two."
    } else {
        "We are not ready. Nothing was bought; try again in a moment."
    }
}

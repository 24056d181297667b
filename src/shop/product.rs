//! `GET /products/{product}`: the page on which a product is bought.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    input::UserQuery,
    reply::{Bought, Reply},
    sale_view::SaleView,
    state::Shop,
    text,
    updates::Encoded,
    visitor,
};
use crate::{
    checkout::PurchaseStatus,
    domain::{Product, UserId},
    http::{
        Site,
        extract::ProductParam,
        pages::{Numbers, render, wants_json},
    },
    observability::Severity,
};

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'page> {
    site: &'page Site,
    product: &'page Product,
    /// The paragraphs of the description.
    paragraphs: Vec<String>,
    numbers: &'page Numbers,
    /// Of this page, as browsers ask for it.
    path: String,
    /// The same as a URL, where the shop knows its own.
    canonical: Option<String>,
    sale: SaleView,
    /// Texts for the script, as JSON.
    texts: String,
    /// The difference to the original price.
    saved: Option<String>,
    user: &'page str,
    bought: Option<Bought>,
    notice: Option<(Severity, String)>,
    is_unsettled: bool,
    /// What is wrong with the id in the form that buys, and in the one that asks.
    buy_error: Option<&'static str>,
    lookup_error: Option<&'static str>,
}

/// The form that a reply answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Buy,
    Lookup,
}

/// The page; for its script, the sale alone.
pub(super) async fn product(
    product: ProductParam,
    query: UserQuery,
    shop: Data<Shop>,
    numbers: Numbers,
    request: HttpRequest,
) -> HttpResponse {
    if wants_json(&request) {
        let update = Encoded::read(&shop.checkout, &product.id).await;
        return HttpResponse::Ok().content_type("application/json").body(update.json);
    }
    if let Some(user) = query.0 {
        return product_page(&shop, &numbers, &product, &user, None).await;
    }
    let user = visitor::remembered(&request);
    let reply = match &user {
        Some(user) => purchase_of(&shop, &numbers, &product, user).await,
        None => None,
    };
    let user = user.as_ref().map_or("", UserId::as_str);
    product_page(&shop, &numbers, &product, user, reply.map(|reply| (Form::Lookup, reply))).await
}

/// What became of the purchase of a visitor who comes again. `None`: there is none, or it
/// can't be read.
async fn purchase_of(shop: &Shop, numbers: &Numbers, product: &Product, user: &UserId) -> Option<Reply> {
    match shop.checkout.reader.status(&product.id, user).await.ok()? {
        PurchaseStatus::Purchased(purchase, _) => {
            Some(Reply::Bought(Bought::new(&shop.site, numbers, text::YOURS, &purchase, product.total_stock)))
        }
        PurchaseStatus::Revoked(revocation) => {
            Some(Reply::notice(Severity::Error, text::revoked(user, &revocation)))
        }
        PurchaseStatus::None => None,
    }
}

/// The page; `user` is shown in its forms.
pub(super) async fn product_page(
    shop: &Shop,
    numbers: &Numbers,
    product: &Product,
    user: &str,
    reply: Option<(Form, Reply)>,
) -> HttpResponse {
    let sale = SaleView::read(&shop.checkout, numbers, product).await;
    let status = if sale.phase.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let saved = product.original_price.as_ref().and_then(|original| original.minus(&product.price));
    let path = format!("/products/{}", product.id);
    let mut page = ProductPage {
        site: &shop.site,
        product,
        paragraphs: text::paragraphs(&product.description),
        numbers,
        path: shop.site.href(&path),
        canonical: shop.site.public.absolute(&path),
        sale,
        texts: text::json(),
        saved: saved.map(|saved| numbers.money(&saved)),
        user,
        bought: None,
        notice: None,
        is_unsettled: false,
        buy_error: None,
        lookup_error: None,
    };
    match reply {
        Some((_, Reply::Bought(bought))) => page.bought = Some(bought),
        Some((_, Reply::Notice { severity, text, unsettled })) => {
            (page.notice, page.is_unsettled) = (Some((severity, text)), unsettled);
        }
        Some((Form::Buy, Reply::Field { text })) => page.buy_error = Some(text),
        Some((Form::Lookup, Reply::Field { text })) => page.lookup_error = Some(text),
        None => {}
    }
    render(status, &page)
}

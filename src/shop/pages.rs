//! The products' pages, and what all pages are made with.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, Query},
};
use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};

use super::{
    Web,
    forms::{Fields, visitor},
    words::{self, grouped},
};
use crate::domain::{Product, SaleState};

pub(crate) use words::phase_name;

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

/// Something that is said on a product's page.
pub(crate) struct Said<'page> {
    pub(crate) text: &'page str,
    /// `good`, `wait` or `bad`.
    pub(crate) mood: &'page str,
    /// Where the receipt is, if there is one.
    pub(crate) receipt: Option<String>,
}

pub(crate) async fn index(web: Data<Web>) -> HttpResponse {
    match web.catalogue.products() {
        // Nobody needs a list of one.
        [only] => see_other(&format!("/products/{}", only.id)),
        products => render(StatusCode::OK, &Index { products }),
    }
}

pub(crate) async fn product(
    web: Data<Web>,
    request: HttpRequest,
    id: Path<String>,
    fields: Query<Fields>,
) -> HttpResponse {
    let Some(product) = web.catalogue.get(&id) else { return not_found().await };
    let user = fields.user_id.clone().or_else(|| visitor(&request)).unwrap_or_default();
    product_page(&web, product, &user, None).await
}

pub(crate) async fn not_found() -> HttpResponse {
    let page = ErrorPage { title: "Not found", detail: "There is no such page." };
    render(StatusCode::NOT_FOUND, &page)
}

pub(crate) fn refused(status: StatusCode, why: &dyn std::fmt::Display) -> HttpResponse {
    render(status, &ErrorPage { title: "That did not work", detail: &why.to_string() })
}

pub(crate) async fn product_page(
    web: &Web,
    product: &Product,
    user: &str,
    said: Option<Said<'_>>,
) -> HttpResponse {
    let sale = web.checkout.reader.sale(&product.id).await.ok();
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

pub(crate) fn try_again(detail: &str) -> HttpResponse {
    render(StatusCode::SERVICE_UNAVAILABLE, &ErrorPage { title: "Try again", detail })
}

/// Whether a script asks, which has a page already.
pub(crate) fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.trim() == "application/json")
}

pub(crate) fn json(value: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}

pub(crate) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

pub(crate) fn render(status: StatusCode, page: &impl Template) -> HttpResponse {
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

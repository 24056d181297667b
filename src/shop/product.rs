//! `GET /products/{product}`: the page on which a product is bought.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use chrono::{DateTime, Utc};

use super::{input::UserQuery, text, visitor};
use crate::{
    checkout::Checkout,
    domain::{Phase, Product, SaleState},
    http::{
        extract::ProductParam,
        pages::{Notice, grouped, phase_key, phase_text, render, rfc3339},
    },
};

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'page> {
    product: &'page Product,
    sale: SaleView,
    /// Texts for the script, as JSON.
    texts: String,
    /// The difference to the original price.
    saved: Option<String>,
    notice: Option<Notice>,
    user: &'page str,
}

/// The sale as the page shows it. Without admission's state (`phase` is `None`) it is
/// what the catalogue says.
struct SaleView {
    phase: Option<Phase>,
    stock: Option<u32>,
    total: u32,
    opens_at: Option<DateTime<Utc>>,
    closes_at: Option<DateTime<Utc>>,
}

impl SaleView {
    fn new(product: &Product, sale: Option<&SaleState>) -> Self {
        match sale {
            Some(sale) => Self {
                phase: Some(sale.phase()),
                stock: Some(sale.remaining),
                total: sale.terms.total_stock,
                opens_at: sale.terms.opens_at,
                closes_at: sale.terms.closes_at,
            },
            None => Self {
                phase: None,
                stock: None,
                total: product.total_stock,
                opens_at: product.sale_start,
                closes_at: product.sale_end,
            },
        }
    }

    fn key(&self) -> &'static str {
        phase_key(self.phase)
    }

    fn badge(&self) -> &'static str {
        phase_text(self.phase)
    }

    fn button(&self) -> &'static str {
        text::button(self.phase)
    }

    fn is_active(&self) -> bool {
        self.phase == Some(Phase::Active)
    }

    fn stock_data(&self) -> String {
        self.stock.map(|stock| stock.to_string()).unwrap_or_default()
    }

    fn stock_text(&self) -> String {
        self.stock.map_or("?".to_owned(), grouped)
    }

    fn total_text(&self) -> String {
        grouped(self.total)
    }

    fn opens_at_data(&self) -> String {
        millis(self.opens_at)
    }

    fn closes_at_data(&self) -> String {
        millis(self.closes_at)
    }

    /// When the sale opens or ends, for visitors without scripts.
    fn window_text(&self) -> Option<String> {
        match self.phase {
            Some(Phase::Upcoming) => self.opens_at.map(|at| format!("Opens at {}", rfc3339(at))),
            Some(Phase::Active | Phase::Paused) => {
                self.closes_at.map(|at| format!("Ends at {}", rfc3339(at)))
            }
            Some(Phase::SoldOut | Phase::Ended) | None => None,
        }
    }
}

fn millis(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default()
}

pub(super) async fn product(
    product: ProductParam,
    query: UserQuery,
    checkout: Data<Checkout>,
    request: HttpRequest,
) -> HttpResponse {
    let user = query.0.or_else(|| visitor::remembered(&request)).unwrap_or_default();
    product_page(&checkout, &product, &user, None).await
}

/// The page; `user` is shown in its forms. A page without a notice reloads itself
/// where scripts are off.
pub(super) async fn product_page(
    checkout: &Checkout,
    product: &Product,
    user: &str,
    notice: Option<Notice>,
) -> HttpResponse {
    let sale = checkout.reader.sale(&product.id).await.ok();
    let status = if sale.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let saved = product.original_price.as_ref().and_then(|original| original.minus(&product.price));
    let page = ProductPage {
        product,
        sale: SaleView::new(product, sale.as_ref()),
        texts: text::json(),
        saved: saved.map(|saved| format!("{saved} {}", saved.currency())),
        notice,
        user,
    };
    render(status, &page)
}

/// A notice alone, for the script of a page that is already shown.
pub(super) fn notice(notice: &Notice) -> HttpResponse {
    HttpResponse::Ok().json(notice)
}

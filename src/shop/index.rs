//! `GET /`: the list of products.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use crate::{
    domain::Product,
    http::pages::{render, see_other},
    stores::LedgerCatalogue,
};

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'page> {
    products: &'page [Product],
}

/// A catalogue of one product has no list: its page is the front page.
pub(super) async fn index(catalogue: Data<LedgerCatalogue>) -> HttpResponse {
    match catalogue.current().products() {
        [only] => see_other(&format!("/products/{}", only.id)),
        products => render(StatusCode::OK, &IndexPage { products }),
    }
}

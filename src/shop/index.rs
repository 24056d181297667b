//! `GET /`: the list of products.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use crate::{
    domain::{Catalogue, Product},
    http::pages::{render, see_other},
};

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'page> {
    products: &'page [Product],
}

/// A catalogue of one product has no list: its page is the front page.
pub(super) async fn index(catalogue: Data<Catalogue>) -> HttpResponse {
    match catalogue.products() {
        [only] => see_other(&format!("/products/{}", only.id)),
        products => render(StatusCode::OK, &IndexPage { products }),
    }
}

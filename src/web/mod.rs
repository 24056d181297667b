//! The pages, rendered on the server. They sell through the same checkout as the API.

mod assets;
mod pages;

use actix_web::{
    error::InternalError,
    web::{self, FormConfig, QueryConfig, ServiceConfig},
};

use crate::{checkout::Checkout, domain::Catalogue};

/// What the pages use; one for all threads.
#[derive(Clone, Debug)]
pub struct Web {
    /// Sells.
    pub checkout: Checkout,
    /// What is sold.
    pub catalogue: Catalogue,
}

/// Longest form, in bytes.
const FORM_LEN_MAX: usize = 4096;

/// All pages; they need a [`Web`] as app data.
pub fn routes(config: &mut ServiceConfig) {
    let form = FormConfig::default().limit(FORM_LEN_MAX).error_handler(|error, _| {
        let page = pages::bad_request(&error);
        InternalError::from_response(error, page).into()
    });
    let query = QueryConfig::default().error_handler(|error, _| {
        let page = pages::bad_request(&error);
        InternalError::from_response(error, page).into()
    });
    config
        .app_data(form)
        .app_data(query)
        .route("/", web::get().to(pages::index))
        .route("/products/{product}", web::get().to(pages::product))
        .route("/products/{product}/buy", web::post().to(pages::buy))
        .route("/products/{product}/purchase", web::get().to(pages::purchase))
        .route("/assets/{name}", web::get().to(assets::asset))
        .default_service(web::to(pages::not_found));
}

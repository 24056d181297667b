//! The product that a path names.

use std::{future::Ready, ops::Deref};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};

use crate::{
    domain::{Catalogue, Product},
    http::problem::Problem,
    stores::LedgerCatalogue,
};

/// The product of the path's segment `{product}`; without that segment (`/sale/…`) the first
/// product of the catalogue. Needs a [`LedgerCatalogue`] as app data.
#[derive(Debug)]
pub struct ProductParam {
    catalogue: Catalogue,
    /// Of `product` in `catalogue`.
    index: usize,
}

impl ProductParam {
    fn find(request: &HttpRequest) -> Result<Self, Problem> {
        let catalogue = request.app_data::<Data<LedgerCatalogue>>().ok_or(Problem::UnknownProduct)?.current();
        if catalogue.is_empty() {
            return Err(Problem::NotReady);
        }
        let index = match request.match_info().get("product") {
            Some(id) => catalogue.products().iter().position(|product| product.id.as_str() == id),
            None => Some(0),
        };
        let index = index.ok_or(Problem::UnknownProduct)?;
        Ok(Self { catalogue, index })
    }
}

impl Deref for ProductParam {
    type Target = Product;

    fn deref(&self) -> &Product {
        // `find` has checked the index, and a catalogue does not change.
        &self.catalogue.products()[self.index]
    }
}

impl FromRequest for ProductParam {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::find(request))
    }
}

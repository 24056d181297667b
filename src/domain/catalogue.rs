//! The products of a system, in their order.

use std::sync::Arc;

use super::{Product, ProductId};

/// At least one product; ids are distinct. The default has none: no product is known
/// yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(Arc<[Product]>);

/// The list is no catalogue.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CatalogueError {
    #[error("the catalogue has no product: add a [[products]] table")]
    Empty,
    /// Two products have one id.
    #[error("product id {0:?} occurs twice")]
    Duplicate(String),
}

impl Catalogue {
    /// A catalogue of these products, in this order.
    pub fn new(products: Vec<Product>) -> Result<Self, CatalogueError> {
        let mut seen = std::collections::HashSet::new();
        if products.is_empty() {
            return Err(CatalogueError::Empty);
        }
        match products.iter().find(|product| !seen.insert(&product.id)) {
            Some(product) => Err(CatalogueError::Duplicate(product.id.to_string())),
            None => Ok(Self(products.into())),
        }
    }

    pub fn products(&self) -> &[Product] {
        &self.0
    }

    /// No product is known yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The product of `/sale/…`.
    pub fn first(&self) -> Option<&Product> {
        self.0.first()
    }

    /// A product by its id as it stands in a URL.
    pub fn get(&self, id: &str) -> Option<&Product> {
        self.0.iter().find(|product| product.id.as_str() == id)
    }

    pub fn ids(&self) -> impl Iterator<Item = &ProductId> {
        self.0.iter().map(|product| &product.id)
    }
}

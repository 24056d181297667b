//! A product of the catalogue.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

use super::Money;

/// A product's name in URLs, keys, messages and tables: 1 to 64 of `a-z 0-9 - _ .`, starting with a
/// letter or digit. (Braces, which would end a hash tag in a key, and anything a URL would escape
/// are excluded.)
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductId(Arc<str>);

/// The text is not a product id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("product id must be 1 to 64 of a-z, 0-9, '-', '_', '.', starting with a letter or digit")]
pub struct ProductIdError;

impl ProductId {
    /// Longest id, in bytes.
    pub const LEN_MAX: usize = 64;

    pub fn parse(text: &str) -> Result<Self, ProductIdError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if starts_well && text.len() <= Self::LEN_MAX && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(ProductIdError)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is sold, at what price, how many, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: String,
    /// The picture, as [`Picture`](super::Picture) reads it.
    pub image: String,
    /// What a unit costs in the sale.
    pub price: Money,
    /// What it costs otherwise.
    pub original_price: Option<Money>,
    /// Units in the sale; their numbers are `1..=total_stock`.
    pub total_stock: u32,
    /// When the sale opens; `None`: from the first start.
    pub sale_start: Option<DateTime<Utc>>,
    /// When it closes; `None`: when sold out.
    pub sale_end: Option<DateTime<Utc>>,
}

impl Product {
    /// When the sale ended, if it is over.
    pub fn ended_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.sale_end.filter(|end| *end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_need_escaping_somewhere_is_refused() {
        for id in ["limited-001", "a", "0", "x_y.z", &"a".repeat(64)] {
            assert!(ProductId::parse(id).is_ok(), "{id:?} was refused");
        }
        for id in ["", "-a", ".a", "A", "a b", "a{b}", "a/b", "a?b", "é", "a\0", "a\r\nb", &"a".repeat(65)] {
            assert!(ProductId::parse(id).is_err(), "{id:?} was accepted");
        }
    }
}

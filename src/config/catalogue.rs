//! Reads the catalogue file. Every error names the product and the key.

use chrono::{DateTime, TimeZone, Utc};
use serde::Deserialize;

use super::{ConfigError, checks::Checks};
use crate::domain::{Catalogue, Money, Product, ProductId, TOTAL_STOCK_MAX};

const DEMO: &str = include_str!("../../config/products.toml");
/// Longest texts, in characters, so that pages and answers stay small.
const NAME_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 4_000;
const IMAGE_MAX: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    products: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    image: String,
    price: String,
    original_price: Option<String>,
    currency: String,
    total_stock: i64,
    sale_start: Option<String>,
    sale_end: Option<String>,
}

/// The catalogue of the key `products`, or the demo. An error here also carries what was wrong before, because
/// nothing can go on without products.
pub(super) fn load(checks: &mut Checks) -> Result<Catalogue, ConfigError> {
    let path = checks.text("products");
    let read = if path.is_empty() {
        Ok(DEMO.to_owned())
    } else {
        std::fs::read_to_string(&path).map_err(|error| error.to_string())
    };
    let file = read.and_then(|text| toml::from_str::<File>(&text).map_err(|error| error.to_string()));
    let source = if path.is_empty() { "the demo catalogue" } else { &path };
    let parsed = file.map_err(|error| vec![error]).and_then(|file| products(file.products));
    match parsed {
        Ok(catalogue) => Ok(catalogue),
        Err(errors) => {
            for error in errors {
                checks.error(format!("catalogue {source}: {error}"));
            }
            Err(checks.give_up())
        }
    }
}

fn products(entries: Vec<Entry>) -> Result<Catalogue, Vec<String>> {
    let mut products = Vec::new();
    let mut errors = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let label = format!("product {} ({:?})", index + 1, entry.id);
        match product(entry) {
            Ok(product) => products.push(product),
            Err(wrong) => errors.extend(wrong.into_iter().map(|error| format!("{label}: {error}"))),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Catalogue::new(products).map_err(|error| vec![error.to_string()])
}

fn product(entry: Entry) -> Result<Product, Vec<String>> {
    let mut errors = Vec::new();
    let id = note(&mut errors, "id", &entry.id, ProductId::parse(&entry.id));
    let price = note(&mut errors, "price", &entry.price, Money::parse(&entry.price, &entry.currency));
    let original_price = entry.original_price.and_then(|amount| {
        note(&mut errors, "original_price", &amount, Money::parse(&amount, &entry.currency))
    });
    let total_stock = u32::try_from(entry.total_stock).ok().filter(|n| (1..=TOTAL_STOCK_MAX).contains(n));
    if total_stock.is_none() {
        errors.push(format!("total_stock = {}: must be from 1 to {TOTAL_STOCK_MAX}", entry.total_stock));
    }
    let sale_start = entry.sale_start.and_then(|text| note(&mut errors, "sale_start", &text, instant(&text)));
    let sale_end = entry.sale_end.and_then(|text| note(&mut errors, "sale_end", &text, instant(&text)));
    if let (Some(start), Some(end)) = (sale_start, sale_end)
        && end <= start
    {
        errors.push(format!("sale_end = {end}: must be after sale_start = {start}"));
    }
    if entry.name.trim().is_empty() {
        errors.push("name: must not be empty".to_owned());
    }
    for (key, text, max) in [
        ("name", &entry.name, NAME_MAX),
        ("description", &entry.description, DESCRIPTION_MAX),
        ("image", &entry.image, IMAGE_MAX),
    ] {
        if text.chars().count() > max || text.contains('\0') {
            errors.push(format!("{key}: must be at most {max} characters, without NUL"));
        }
    }
    let (name, description, image) = (entry.name, entry.description, entry.image);
    match (id, price, total_stock) {
        (Some(id), Some(price), Some(total_stock)) if errors.is_empty() => Ok(Product {
            id,
            name,
            description,
            image,
            price,
            original_price,
            total_stock,
            sale_start,
            sale_end,
        }),
        _ => Err(errors),
    }
}

fn note<T, E: std::fmt::Display>(
    errors: &mut Vec<String>,
    key: &str,
    value: &str,
    parsed: Result<T, E>,
) -> Option<T> {
    parsed.map_err(|error| errors.push(format!("{key} = {value:?}: {error}"))).ok()
}

/// To the millisecond, which is what admission works with.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let example = "must be an RFC 3339 time such as 2026-11-27T18:00:00Z";
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_why| example.to_owned())?;
    let in_range = |at: &DateTime<Utc>| (0..253_402_300_800).contains(&at.timestamp());
    let rounded = Utc.timestamp_millis_opt(parsed.timestamp_millis()).single();
    rounded.filter(in_range).ok_or_else(|| "must be between 1970 and 9999".to_owned())
}

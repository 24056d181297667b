//! Reads the catalogue file. Every error names the product and the key.

use std::fmt::Display;

use chrono::{DateTime, TimeZone, Utc};

use super::{
    ConfigError, Reader,
    layers::{UnknownVariable, read_file, variable_of},
};
use crate::domain::{Catalogue, Money, Product, ProductId, TOTAL_STOCK_MAX};

const DEMO: &str = include_str!("../../config/products.toml");
/// In characters. Pages and answers stay small.
const NAME_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 4_000;
const IMAGE_MAX: usize = 2_000;

/// The products that a process adds to its ledger.
#[derive(Clone, Debug)]
pub enum CatalogueSource {
    File(CatalogueFile),
    /// No file is configured: the demo product, for a ledger that has nothing to sell.
    Demo(Catalogue),
    /// No file is configured: the ledger must have products.
    Ledger,
}

/// A catalogue, and the file that it was read from.
#[derive(Clone, Debug)]
pub struct CatalogueFile {
    pub catalogue: Catalogue,
    path: String,
}

impl CatalogueFile {
    /// Reads the file again, whatever its pictures. `None`: it can't be read.
    pub fn read_again(&self) -> Option<Catalogue> {
        read_catalogue(&self.path, &|_image| Ok(())).ok()
    }
}

impl CatalogueSource {
    /// Reads the file of the key `products`. If the key is empty: the demo catalogue where there
    /// may be one (`has_demo`). `None`: the errors are in the reader.
    pub fn of_key(reader: &mut Reader, has_demo: bool, pictures: CheckPicture<'_>) -> Option<Self> {
        let path = reader.text("products");
        let read = if !path.is_empty() {
            read_catalogue(&path, pictures).map(|catalogue| Self::File(CatalogueFile { catalogue, path }))
        } else if let Some(UnknownVariable { name, resembles: Some(meant) }) = misspelt(reader) {
            // The operator has named a catalogue, and would sell something else.
            let line = format!("the environment variable {name} has no meaning here: did you mean {meant}?");
            Err(ConfigError(vec![line]))
        } else if has_demo {
            let demo = DEMO.parse().map_err(|error: toml::de::Error| error.to_string());
            parse("the demo catalogue", demo, pictures).map(Self::Demo)
        } else {
            Ok(Self::Ledger)
        };
        match read {
            Ok(source) => Some(source),
            Err(ConfigError(errors)) => {
                for error in errors {
                    reader.error(error);
                }
                None
            }
        }
    }
}

/// A variable that was meant to be that of the key `products`.
fn misspelt(reader: &Reader) -> Option<UnknownVariable> {
    let meant = Some(variable_of("products"));
    reader.unknown_variables().iter().find(|variable| variable.resembles == meant).cloned()
}

/// Says why a picture, as a catalogue names it, can't be shown.
pub type CheckPicture<'check> = &'check dyn Fn(&str) -> Result<(), String>;

/// Reads a catalogue file. The error lists everything that is wrong.
pub fn read_catalogue(path: &str, pictures: CheckPicture<'_>) -> Result<Catalogue, ConfigError> {
    parse(path, read_file("read it", path.as_ref()), pictures)
}

fn parse(
    source: &str,
    table: Result<toml::Table, String>,
    pictures: CheckPicture<'_>,
) -> Result<Catalogue, ConfigError> {
    let error = |line| format!("catalogue {source}: {line}");
    let read = table.map_err(|error| vec![error]).and_then(|table| products(table, pictures));
    read.map_err(|lines| ConfigError(lines.into_iter().map(error).collect()))
}

fn products(mut file: toml::Table, pictures: CheckPicture<'_>) -> Result<Catalogue, Vec<String>> {
    let entries = file.remove("products");
    let mut errors: Vec<_> = file.keys().map(|key| format!("{key}: there is no such key")).collect();
    let Some(toml::Value::Array(entries)) = entries else {
        errors.push("there must be at least one [[products]]".to_owned());
        return Err(errors);
    };
    let mut products = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        match Entry::new(entry).product(pictures) {
            Ok(product) => products.push(product),
            Err(wrong) => {
                errors.extend(wrong.into_iter().map(|error| format!("product {}: {error}", index + 1)));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Catalogue::new(products).map_err(|error| vec![error.to_string()])
}

/// One `[[products]]`. Each key is removed when it is read; what is left is unknown.
struct Entry {
    keys: toml::Table,
    errors: Vec<String>,
}

impl Entry {
    fn new(entry: toml::Value) -> Self {
        match entry {
            toml::Value::Table(keys) => Self { keys, errors: Vec::new() },
            _ => Self { keys: toml::Table::new(), errors: vec!["must be a table".to_owned()] },
        }
    }

    fn product(mut self, pictures: CheckPicture<'_>) -> Result<Product, Vec<String>> {
        let id = self.required("id").and_then(|text| self.read("id", &text, ProductId::parse(&text)));
        let name = self.required("name").and_then(|text| self.bounded("name", text, NAME_MAX));
        if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            self.errors.push("name: must not be empty".to_owned());
        }
        let description = self.text("description").unwrap_or_default();
        let description = self.bounded("description", description, DESCRIPTION_MAX);
        let image = self.text("image").unwrap_or_default();
        let image = self.bounded("image", image, IMAGE_MAX);
        if let Some(image) = &image {
            self.read("image", image, pictures(image));
        }
        let (amount, currency) = (self.required("price"), self.required("currency"));
        let original = self.text("original_price");
        let mut money = |key, amount: Option<String>| {
            let (amount, currency) = (amount?, currency.as_ref()?);
            self.read(key, &amount, Money::parse(&amount, currency))
        };
        let (price, original_price) = (money("price", amount), money("original_price", original));
        if let (Some(price), Some(original)) = (&price, &original_price)
            && original.minor() <= price.minor()
        {
            self.errors.push(format!("original_price = \"{original}\": must be above price = \"{price}\""));
        }
        let total_stock = self.total_stock();
        let (sale_start, sale_end) = (self.instant("sale_start"), self.instant("sale_end"));
        if let (Some(start), Some(end)) = (sale_start, sale_end)
            && end <= start
        {
            self.errors.push(format!("sale_end = {end}: must be after sale_start = {start}"));
        }
        self.errors.extend(self.keys.keys().map(|key| format!("{key}: there is no such key")));
        match (id, name, description, image, price, total_stock) {
            (Some(id), Some(name), Some(description), Some(image), Some(price), Some(total_stock))
                if self.errors.is_empty() =>
            {
                Ok(Product {
                    id,
                    name,
                    description,
                    image,
                    price,
                    original_price,
                    total_stock,
                    sale_start,
                    sale_end,
                })
            }
            _ => Err(self.errors),
        }
    }

    fn read<T, E: Display>(&mut self, key: &str, value: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.errors.push(format!("{key} = {value:?}: {error}"))).ok()
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.keys.remove(key)? {
            toml::Value::String(text) => Some(text),
            other => {
                self.errors.push(format!("{key} = {other}: must be a text in quotes"));
                None
            }
        }
    }

    fn required(&mut self, key: &str) -> Option<String> {
        if !self.keys.contains_key(key) {
            self.errors.push(format!("{key}: is missing"));
        }
        self.text(key)
    }

    fn bounded(&mut self, key: &str, text: String, max: usize) -> Option<String> {
        let fits = text.chars().count() <= max && !text.contains('\0');
        if !fits {
            self.errors.push(format!("{key}: must be at most {max} characters, without NUL"));
        }
        fits.then_some(text)
    }

    fn total_stock(&mut self) -> Option<u32> {
        let value = self.keys.remove("total_stock");
        let number = value.as_ref().and_then(toml::Value::as_integer).and_then(|n| u32::try_from(n).ok());
        let allowed = number.filter(|number| (1..=TOTAL_STOCK_MAX).contains(number));
        if allowed.is_none() {
            let shown = value.map(|value| format!(" = {value}")).unwrap_or_default();
            self.errors
                .push(format!("total_stock{shown}: must be a whole number from 1 to {TOTAL_STOCK_MAX}"));
        }
        allowed
    }

    /// Rounded to milliseconds, the resolution of admission.
    fn instant(&mut self, key: &str) -> Option<DateTime<Utc>> {
        let text = self.text(key)?;
        let parsed = DateTime::parse_from_rfc3339(&text).ok();
        let rounded = parsed.and_then(|at| Utc.timestamp_millis_opt(at.timestamp_millis()).single());
        // Until the year 9999.
        let instant = rounded.filter(|at| (0..253_402_300_800).contains(&at.timestamp()));
        let example = "must be an RFC 3339 time from 1970 on, such as 2026-11-27T18:00:00Z";
        self.read(key, &text, instant.ok_or(example))
    }
}

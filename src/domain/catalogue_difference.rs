//! How a catalogue differs from the products that are sold now: what applying it would change.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Money, Product, ProductId};

/// Empty where applying the catalogue would change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueDifference {
    /// In the catalogue only.
    pub added: Vec<ProductId>,
    pub changed: Vec<ProductChange>,
    /// Not in the catalogue. Such a product stays as it is: its purchases do.
    pub kept: Vec<ProductId>,
    /// The order afterwards, where it is another one. The first product is that of `/sale/…`.
    pub order: Option<Vec<ProductId>>,
}

/// A known product with other terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductChange {
    pub product: ProductId,
    pub fields: Vec<FieldChange>,
}

/// A field as it is, and as it would be; `-` stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub field: &'static str,
    pub old: String,
    pub new: String,
}

impl CatalogueDifference {
    pub fn new(present: &[Product], wanted: &[Product]) -> Self {
        let in_wanted = |id: &ProductId| wanted.iter().find(|product| product.id == *id);
        let is_present = |id: &ProductId| present.iter().any(|product| product.id == *id);
        let added: Vec<_> =
            wanted.iter().map(|product| product.id.clone()).filter(|id| !is_present(id)).collect();
        let changed = present.iter().filter_map(|old| {
            let fields = fields(old, in_wanted(&old.id)?);
            (!fields.is_empty()).then(|| ProductChange { product: old.id.clone(), fields })
        });
        let ids = present.iter().map(|product| &product.id);
        let order = order_after(present, wanted);
        let is_same_order = ids.clone().chain(&added).eq(&order);
        Self {
            changed: changed.collect(),
            kept: ids.filter(|id| in_wanted(id).is_none()).cloned().collect(),
            order: (!is_same_order).then_some(order),
            added,
        }
    }

    /// Whether applying the catalogue would change nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.order.is_none()
    }
}

/// On one line, with the names of the fields.
impl fmt::Display for CatalogueDifference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, kept, order } = self;
        let mut parts: Vec<_> = added.iter().map(|id| format!("{id} (new)")).collect();
        parts.extend(changed.iter().map(|ProductChange { product, fields }| {
            let fields: Vec<_> = fields.iter().map(|change| change.field).collect();
            format!("{product} ({})", fields.join(", "))
        }));
        parts.extend(kept.iter().map(|id| format!("{id} (not in the file)")));
        parts.extend(order.as_ref().map(|_| "the order of the products".to_owned()));
        out.write_str(&parts.join(", "))
    }
}

/// The products' order once a catalogue is applied: its own, then what it does not have.
pub fn order_after(present: &[Product], wanted: &[Product]) -> Vec<ProductId> {
    let is_left = |old: &&Product| wanted.iter().all(|product| product.id != old.id);
    wanted.iter().chain(present.iter().filter(is_left)).map(|product| product.id.clone()).collect()
}

fn fields(old: &Product, new: &Product) -> Vec<FieldChange> {
    let text = |product: &Product| {
        let Product { id: _, name, description, image, price, original_price, total_stock, .. } = product;
        [
            ("name", name.clone()),
            ("description", description.clone()),
            ("image", image.clone()),
            ("price", money(price)),
            ("original_price", or_none(original_price.as_ref().map(money))),
            ("total_stock", total_stock.to_string()),
            ("sale_start", or_none(product.sale_start.map(instant))),
            ("sale_end", or_none(product.sale_end.map(instant))),
        ]
    };
    let both = text(old).into_iter().zip(text(new));
    both.filter(|(old, new)| old != new)
        .map(|((field, old), (_, new))| FieldChange { field, old, new })
        .collect()
}

fn money(amount: &Money) -> String {
    format!("{amount} {}", amount.currency())
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: &str, price: &str, total_stock: u32) -> Product {
        Product {
            id: ProductId::parse(id).unwrap(),
            name: id.to_owned(),
            description: String::new(),
            image: String::new(),
            price: Money::parse(price, "USD").unwrap(),
            original_price: None,
            total_stock,
            sale_start: None,
            sale_end: None,
        }
    }

    #[test]
    fn each_changed_field_is_named_with_both_values() {
        let opens = DateTime::from_timestamp_millis(1_800_000_000_000);
        let new = Product { sale_start: opens, ..product("a", "8.50", 12) };
        let found = CatalogueDifference::new(&[product("a", "9", 10)], &[new]);
        let change =
            |field, old: &str, new: &str| FieldChange { field, old: old.to_owned(), new: new.to_owned() };
        let fields = vec![
            change("price", "9.00 USD", "8.50 USD"),
            change("total_stock", "10", "12"),
            change("sale_start", "-", "2027-01-15T08:00:00Z"),
        ];
        assert_eq!(found.changed, [ProductChange { product: product("a", "9", 1).id, fields }]);
        assert_eq!(found.to_string(), "a (price, total_stock, sale_start)");
    }

    #[test]
    fn a_product_that_the_catalogue_does_not_have_stays_behind_those_that_it_has() {
        let [a, b, c] = ["a", "b", "c"].map(|id| product(id, "1", 1));
        let found = CatalogueDifference::new(&[a.clone(), b.clone()], &[c.clone(), b.clone()]);
        assert_eq!((found.added, found.kept), (vec![c.id.clone()], vec![a.id.clone()]));
        assert_eq!(found.order, Some(vec![c.id, b.id.clone(), a.id.clone()]));
        let same = CatalogueDifference::new(&[a.clone(), b.clone()], std::slice::from_ref(&a));
        assert!(same.is_empty() && same.kept == [b.id.clone()], "{same:?}");
        assert!(!CatalogueDifference::new(&[a.clone(), b.clone()], &[b, a]).is_empty(), "another order");
    }
}

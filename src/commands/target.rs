//! What an operator's command acts on, and as whom.

use anyhow::{Context, ensure};
use clap::Args;

use crate::domain::ProductId;
use crate::ledger::Ledger;
use crate::operations::Actor;
use crate::runtime::output;

#[derive(Debug, Args)]
pub(super) struct ProductFlag {
    /// The product; without it, the first one
    #[arg(long, value_name = "ID")]
    product: Option<String>,
}

impl ProductFlag {
    /// Fails with the products that exist if there is none of this id. Where the first one of
    /// several is meant, says so.
    pub(super) async fn product(&self, ledger: &dyn Ledger) -> anyhow::Result<ProductId> {
        let mut known: Vec<_> = ledger.products().await?.into_iter().map(|product| product.id).collect();
        if let Some(wanted) = &self.product {
            let found = known.iter().find(|id| id.as_str() == wanted);
            return found.cloned().with_context(|| unknown(wanted, &known));
        }
        ensure!(!known.is_empty(), "the ledger has no product: has `flashsale serve` (or `work`) run?");
        let first = known.remove(0);
        if !known.is_empty() {
            let others = listed(&known);
            output::paragraph(format_args!(
                "product {first}; for another one, --product with one of: {others}"
            ));
        }
        Ok(first)
    }
}

fn unknown(wanted: &str, known: &[ProductId]) -> String {
    match known {
        [] => format!("there is no product {wanted}, and no other in the ledger"),
        [only] => format!("there is no product {wanted}: the only one is {only}"),
        _ => format!("there is no product {wanted}: the products are {}", listed(known)),
    }
}

fn listed(products: &[ProductId]) -> String {
    const LISTED_MAX: usize = 20;
    let ids: Vec<_> = products.iter().take(LISTED_MAX).map(ProductId::as_str).collect();
    match products.len().saturating_sub(LISTED_MAX) {
        0 => ids.join(", "),
        more => format!("{}, and {more} more (see flashsale products list)", ids.join(", ")),
    }
}

/// The operating-system user.
pub(super) fn actor() -> Actor {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    Actor::named(name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_that_exist_are_named() {
        let ids = |number: usize| -> Vec<_> {
            (1..=number).map(|id| ProductId::parse(&format!("p{id}")).unwrap()).collect()
        };
        assert_eq!(unknown("x", &ids(1)), "there is no product x: the only one is p1");
        assert_eq!(unknown("x", &ids(3)), "there is no product x: the products are p1, p2, p3");
        assert!(listed(&ids(22)).ends_with("p20, and 2 more (see flashsale products list)"));
    }
}

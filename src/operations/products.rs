//! Products: listing them, and giving them the terms of a catalogue.

use super::Actor;
use crate::domain::{Catalogue, CatalogueDifference, Product};
use crate::ledger::{Ledger, LedgerError, LedgerSale, check_stock};

/// What applying a catalogue would change, and the products that it was compared with.
#[derive(Clone, Debug)]
pub struct CataloguePlan {
    pub difference: CatalogueDifference,
    seen: Vec<Product>,
    wanted: Catalogue,
}

/// Compares a catalogue with the ledger, and changes nothing. Fails if a stock is below the highest
/// unit that is sold.
pub async fn plan(
    actor: &Actor,
    ledger: &dyn Ledger,
    wanted: &Catalogue,
) -> Result<CataloguePlan, LedgerError> {
    actor.reads("products: compare", "the catalogue");
    let (seen, sales) = (ledger.products().await?, ledger.sales().await?);
    for product in wanted.products() {
        let sale = sales.iter().find(|sale| sale.product == product.id);
        check_stock(product, sale.map_or(0, |sale| sale.highest_unit))?;
    }
    let difference = CatalogueDifference::new(&seen, wanted.products());
    Ok(CataloguePlan { difference, seen, wanted: wanted.clone() })
}

/// Makes the change that was planned, or none if the products were changed since. The leader
/// carries the terms over to admission within a second.
pub async fn apply(actor: &Actor, ledger: &dyn Ledger, plan: &CataloguePlan) -> Result<(), LedgerError> {
    let CataloguePlan { difference, seen, wanted } = plan;
    ledger.change_products(seen, wanted.products()).await?;
    if !difference.is_empty() {
        actor.has_changed("products: applied a catalogue", &difference.to_string());
    }
    Ok(())
}

/// The products in their order, each with its sale.
pub async fn list(actor: &Actor, ledger: &dyn Ledger) -> Result<Vec<(Product, LedgerSale)>, LedgerError> {
    actor.reads("products: list", "all");
    let (products, mut sales) = (ledger.products().await?, ledger.sales().await?);
    let with_sale = |product: Product| {
        let position = sales.iter().position(|sale| sale.product == product.id)?;
        Some((product, sales.swap_remove(position)))
    };
    Ok(products.into_iter().filter_map(with_sale).collect())
}

//! Products and their terms.

use async_trait::async_trait;

use super::LedgerError;
use crate::domain::{Offers, Product, ProductId, Terms};

/// A product's sale as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSale {
    pub product: ProductId,
    /// The incarnation of the admission state that may sell.
    pub epoch: u64,
    pub terms: Terms,
    /// The latest epoch that admission was opened with. Whatever an earlier one admitted may have
    /// been handed out anew.
    pub opened_epoch: u64,
    /// The highest unit that is sold or withheld; 0: none.
    pub highest_unit: u32,
    /// A lower total stock that an operator asks for, and that admission must agree to first.
    pub lower_stock_to: Option<u32>,
}

/// Keeps the products, and the terms that operators have decided.
#[async_trait]
pub trait ProductLedger: Send + Sync {
    /// Adds the products that the ledger does not know, behind the others, and leaves the
    /// others as they are.
    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError>;

    /// Reads the products with the terms that an operator has decided, in their order. A lower
    /// stock that is asked for counts as decided.
    async fn products(&self) -> Result<Vec<Product>, LedgerError>;

    /// Reads what products were sold as. A new product, and one that is given another name or
    /// price, has another offer.
    async fn offers(&self) -> Result<Offers, LedgerError>;

    /// Makes the products those of a catalogue: new ones are added, known ones changed, none
    /// removed; [`order_after`](crate::domain::order_after) is their order. Fails if the products
    /// are not `seen` any more, or if a stock is below the highest unit that is sold. A lower stock
    /// that can be had is only noted, see [`LedgerSale::lower_stock_to`].
    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError>;

    /// Stops or resumes a sale. False: there is no such product.
    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError>;

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError>;

    /// Lowers the total stock to `wanted`, once admission hands out no unit above it; or keeps it,
    /// when `lower` is false. Does nothing if something else is asked for by now. False:
    /// it is not lowered.
    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError>;
}

/// Fails if a product's stock is below the highest unit that is sold.
pub fn check_stock(wanted: &Product, highest_unit: u32) -> Result<(), LedgerError> {
    let Product { id, total_stock, .. } = wanted;
    if *total_stock >= highest_unit {
        return Ok(());
    }
    Err(LedgerError::StockBelowSold { product: id.clone(), total_stock: *total_stock, highest_unit })
}

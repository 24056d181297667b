//! Products and their terms in the simulated ledger.

use async_trait::async_trait;
use flashsale::{
    domain::{Offers, Product, ProductId, Terms},
    ledger::{LedgerError, LedgerSale, ProductLedger},
};

use super::SimLedger;

#[async_trait]
impl ProductLedger for SimLedger {
    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        self.run(|tables| tables.add(products)).await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        self.run(|tables| tables.decided()).await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        self.run(|tables| tables.offers()).await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        self.run(|tables| tables.change(seen, wanted)).await?
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let row = tables.products.get_mut(product);
            row.map(|row| row.terms = Terms { paused, ..row.terms.clone() }).is_some()
        })
        .await
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        self.run(|tables| tables.sales()).await
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let highest = tables.highest_unit(product);
            let Some(row) = tables.products.get_mut(product) else { return false };
            if row.lower_stock_to != Some(wanted) {
                return false;
            }
            row.lower_stock_to = None;
            let lowered = lower && highest <= wanted;
            if lowered {
                row.terms.total_stock = wanted;
            }
            lowered
        })
        .await
    }
}

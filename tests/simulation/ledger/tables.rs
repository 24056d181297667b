//! The tables, with the constraints of the real ones. A change of them is one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use flashsale::{
    domain::{
        ChangeKind, Entry, LedgerVerdict, Obstacles, Offer, Offers, Product, ProductId, Purchase, PurchaseId,
        RecordedPurchase, Terms, UserId, UsersPurchase, order_after,
    },
    ledger::{Confirmation, Discard, LedgerError, LedgerSale, System, check_stock},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(super) system: Option<System>,
    pub(super) products: BTreeMap<ProductId, ProductRow>,
    by_unit: BTreeMap<(ProductId, u32), Purchase>,
    unit_of_user: BTreeMap<(ProductId, UserId), u32>,
    unit_of_id: BTreeMap<PurchaseId, (ProductId, u32)>,
    confirmed_at: BTreeMap<PurchaseId, DateTime<Utc>>,
    /// In the order in which they were inserted.
    pub(super) revocations: Vec<RevocationRow>,
    pub(super) discards: Vec<Discard>,
    pub(super) cancelled: BTreeMap<PurchaseId, RecordedPurchase>,
    /// Purchases whose users have pseudonyms.
    pub(super) erased: BTreeSet<PurchaseId>,
    pub(super) earlier: BTreeMap<(ProductId, UserId), Purchase>,
    pub(super) changes: BTreeMap<u64, ChangeKind>,
    pub(super) last_change: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ProductRow {
    /// Its stock is in the terms.
    description: Product,
    position: usize,
    pub(super) terms: Terms,
    pub(super) epoch: u64,
    pub(super) opened_epoch: u64,
    pub(super) lower_stock_to: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct RevocationRow {
    pub(super) id: PurchaseId,
    pub(super) product: ProductId,
    pub(super) user: UserId,
    pub(super) reason: String,
}

impl Tables {
    pub(super) fn add(&mut self, products: &[Product]) {
        for product in products {
            let terms = Terms {
                total_stock: product.total_stock,
                opens_at: product.sale_start,
                closes_at: product.sale_end,
                paused: false,
            };
            let position = self.products.len();
            let description = product.clone();
            let new =
                ProductRow { description, position, terms, epoch: 0, opened_epoch: 0, lower_stock_to: None };
            self.products.entry(product.id.clone()).or_insert(new);
        }
    }

    /// The products as an operator has decided them, in their order.
    pub(super) fn decided(&self) -> Vec<Product> {
        let mut rows: Vec<_> = self.products.values().collect();
        rows.sort_by_key(|row| row.position);
        let decided = |row: &ProductRow| Product {
            total_stock: row.lower_stock_to.unwrap_or(row.terms.total_stock),
            ..row.description.clone()
        };
        rows.into_iter().map(decided).collect()
    }

    /// One a product: no operator of the simulation changes a name or a price.
    pub(super) fn offers(&self) -> Offers {
        let offer = |row: &ProductRow| Offer {
            product: row.description.id.clone(),
            number: 1,
            since: DateTime::UNIX_EPOCH,
            name: row.description.name.clone(),
            price: row.description.price.clone(),
        };
        Offers::new(self.products.values().map(offer).collect())
    }

    pub(super) fn change(&mut self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        if self.decided() != seen {
            return Err(LedgerError::ProductsChanged);
        }
        for product in wanted {
            check_stock(product, self.highest_unit(&product.id))?;
        }
        self.add(wanted);
        for product in wanted {
            let Some(row) = self.products.get_mut(&product.id) else { continue };
            let (present, wanted) = (row.terms.total_stock, product.total_stock);
            row.lower_stock_to = (wanted < present).then_some(wanted);
            row.terms.total_stock = present.max(wanted);
            (row.terms.opens_at, row.terms.closes_at) = (product.sale_start, product.sale_end);
            row.description = product.clone();
        }
        for (position, product) in order_after(seen, wanted).iter().enumerate() {
            if let Some(row) = self.products.get_mut(product) {
                row.position = position;
            }
        }
        Ok(())
    }

    pub(super) fn sales(&self) -> Vec<LedgerSale> {
        let sale = |(product, row): (&ProductId, &ProductRow)| LedgerSale {
            product: product.clone(),
            epoch: row.epoch,
            terms: row.terms.clone(),
            opened_epoch: row.opened_epoch,
            highest_unit: self.highest_unit(product),
            lower_stock_to: row.lower_stock_to,
        };
        self.products.iter().map(sale).collect()
    }

    /// Purchases of a product ordered by unit, from the one after `after_unit`.
    pub(crate) fn rows(&self, product: &ProductId, after_unit: u32) -> impl Iterator<Item = &Purchase> {
        let range = (product.clone(), after_unit.saturating_add(1))..=(product.clone(), u32::MAX);
        self.by_unit.range(range).map(|(_, purchase)| purchase)
    }

    /// That is sold or withheld.
    pub(super) fn highest_unit(&self, product: &ProductId) -> u32 {
        let sold = self.rows(product, 0).last().map_or(0, |row| row.unit);
        self.withheld(product).last().copied().unwrap_or(0).max(sold)
    }

    pub(super) fn confirmations(&self, product: &ProductId, after_unit: u32) -> Vec<Confirmation> {
        let confirmation = |row: &Purchase| Confirmation {
            unit: row.unit,
            id: row.id,
            at: self.confirmed_at.get(&row.id).copied().unwrap_or_default(),
        };
        self.rows(product, after_unit).map(confirmation).collect()
    }

    pub(super) fn recorded_purchase(&self, id: PurchaseId) -> Option<RecordedPurchase> {
        if let Some(cancelled) = self.cancelled.get(&id) {
            return Some(cancelled.clone());
        }
        let purchase = self.by_unit.get(self.unit_of_id.get(&id)?)?.clone();
        let confirmed_at = self.confirmed_at.get(&id).copied().unwrap_or_default();
        Some(RecordedPurchase { purchase, offer: 1, confirmed_at, cancelled: None })
    }

    pub(super) fn unit_is_held(&self, product: &ProductId, unit: u32) -> bool {
        self.by_unit.contains_key(&(product.clone(), unit)) || self.withheld(product).contains(&unit)
    }

    pub(super) fn purchase_of(&self, product: &ProductId, user: &UserId) -> Option<&Purchase> {
        let unit = self.unit_of_user.get(&(product.clone(), user.clone()))?;
        self.by_unit.get(&(product.clone(), *unit))
    }

    pub(super) fn is_revoked(&self, id: PurchaseId) -> bool {
        self.revocations.iter().any(|row| row.id == id)
    }

    /// The latest epoch that a product was opened with.
    pub(crate) fn opened_epoch(&self, product: &ProductId) -> u64 {
        self.products.get(product).map_or(0, |row| row.opened_epoch)
    }

    pub(super) fn epochs(&self) -> BTreeMap<ProductId, u64> {
        self.products.iter().map(|(product, row)| (product.clone(), row.epoch)).collect()
    }

    /// Inserts what nothing is in the way of, and gives a verdict on each purchase. `epochs`: those that the
    /// transaction saw.
    pub(super) fn record(
        &mut self,
        entries: &[Entry],
        epochs: &BTreeMap<ProductId, u64>,
        now: DateTime<Utc>,
    ) -> Vec<LedgerVerdict> {
        let mut ordered: Vec<_> = entries.iter().collect();
        ordered.sort_by(|a, b| {
            (&a.purchase.product, a.purchase.unit).cmp(&(&b.purchase.product, b.purchase.unit))
        });
        let mut inserted = BTreeSet::new();
        for entry in ordered {
            if self.may_insert(entry, epochs) {
                self.insert(entry.purchase.clone(), now);
                inserted.insert(entry.purchase.id);
            }
        }
        let verdict = |entry: &Entry| {
            let is_inserted = inserted.contains(&entry.purchase.id);
            if is_inserted { LedgerVerdict::Recorded } else { self.obstacles(entry).verdict(entry) }
        };
        entries.iter().map(verdict).collect()
    }

    fn may_insert(&self, Entry { epoch, purchase, .. }: &Entry, epochs: &BTreeMap<ProductId, u64>) -> bool {
        let Some(row) = self.products.get(&purchase.product) else { return false };
        (1..=row.terms.total_stock).contains(&purchase.unit)
            && epochs.get(&purchase.product).is_some_and(|current| epoch >= current)
            && !self.is_revoked(purchase.id)
            && !self.unit_of_id.contains_key(&purchase.id)
            && !self.cancelled.contains_key(&purchase.id)
            && !self.unit_is_held(&purchase.product, purchase.unit)
            && !self.holds_right(&purchase.product, &purchase.user)
    }

    pub(super) fn remove(&mut self, purchase: &Purchase) {
        let Purchase { id, product, user, unit, .. } = purchase;
        self.unit_of_user.remove(&(product.clone(), user.clone()));
        self.unit_of_id.remove(id);
        self.by_unit.remove(&(product.clone(), *unit));
    }

    pub(super) fn insert(&mut self, purchase: Purchase, now: DateTime<Utc>) {
        let Purchase { id, product, user, unit, .. } = purchase.clone();
        self.unit_of_user.insert((product.clone(), user), unit);
        self.unit_of_id.insert(id, (product.clone(), unit));
        self.confirmed_at.insert(id, now);
        self.by_unit.insert((product, unit), purchase);
    }

    fn obstacles(&self, Entry { purchase, .. }: &Entry) -> Obstacles {
        let row = self.products.get(&purchase.product);
        let mine = match self.purchase_of(&purchase.product, &purchase.user) {
            Some(mine) => UsersPurchase::Counts(mine.id, mine.unit, mine.admitted_at),
            None if self.right_is_used(&purchase.product, &purchase.user) => UsersPurchase::Cancelled,
            None => UsersPurchase::None,
        };
        let own = self.recorded_purchase(purchase.id).filter(|own| {
            let is_users = own.purchase.user == purchase.user || self.erased.contains(&purchase.id);
            own.purchase.product == purchase.product && is_users
        });
        Obstacles {
            total_stock: row.map(|row| row.terms.total_stock),
            epoch: row.map_or(0, |row| row.epoch),
            revoked: self.is_revoked(purchase.id),
            recorded: own.is_some(),
            mine,
            unit_taken: self.unit_is_held(&purchase.product, purchase.unit),
        }
    }
}

//! Rows of PostgreSQL, and how they become values of the domain.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_types};
use uuid::Uuid;

use crate::domain::{
    AdmissionChange, Cancellation, LedgerCounts, Obstacles, Product, ProductId, Purchase, PurchaseId,
    PurchaseState, RecordedPurchase, Revocation, SystemId, Terms, UserId, UsersPurchase,
};
use crate::ledger::{Confirmation, LedgerError, LedgerSale, System, change::ChangeColumns, money, number};

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: Uuid,
}

#[derive(QueryableByName)]
pub(super) struct NameRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) name: String,
}

#[derive(QueryableByName)]
pub(super) struct EpochRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) epoch: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) opened_epoch: i64,
}

#[derive(QueryableByName)]
pub(super) struct BoolRow {
    #[diesel(sql_type = sql_types::Bool)]
    pub(super) yes: bool,
}

#[derive(QueryableByName)]
pub(super) struct SystemRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    prefix: String,
}

impl From<SystemRow> for System {
    fn from(SystemRow { id, prefix }: SystemRow) -> Self {
        Self { id: SystemId(id), prefix }
    }
}

#[derive(QueryableByName)]
pub(super) struct ProductRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Text)]
    description: String,
    #[diesel(sql_type = sql_types::Text)]
    image: String,
    #[diesel(sql_type = sql_types::BigInt)]
    price_minor: i64,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    original_price_minor: Option<i64>,
    #[diesel(sql_type = sql_types::Text)]
    currency: String,
    #[diesel(sql_type = sql_types::Integer)]
    total_stock: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_end: Option<DateTime<Utc>>,
}

impl TryFrom<ProductRow> for Product {
    type Error = LedgerError;

    fn try_from(row: ProductRow) -> Result<Self, LedgerError> {
        let money = |minor| money(minor, &row.currency);
        Ok(Self {
            id: ProductId::parse(&row.id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            price: money(row.price_minor)?,
            original_price: row.original_price_minor.map(money).transpose()?,
            name: row.name,
            description: row.description,
            image: row.image,
            total_stock: number(row.total_stock),
            sale_start: row.sale_start,
            sale_end: row.sale_end,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct SaleRow {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::BigInt)]
    epoch: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    opened_epoch: i64,
    #[diesel(sql_type = sql_types::Integer)]
    total_stock: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_start: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    sale_end: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    paused: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    highest_unit: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    lower_stock_to: Option<i32>,
}

impl TryFrom<SaleRow> for LedgerSale {
    type Error = LedgerError;

    fn try_from(row: SaleRow) -> Result<Self, LedgerError> {
        Ok(Self {
            product: ProductId::parse(&row.id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            epoch: row.epoch.unsigned_abs(),
            opened_epoch: row.opened_epoch.unsigned_abs(),
            terms: Terms {
                total_stock: number(row.total_stock),
                opens_at: row.sale_start,
                closes_at: row.sale_end,
                paused: row.paused,
            },
            highest_unit: number(row.highest_unit.unwrap_or(0)),
            lower_stock_to: row.lower_stock_to.map(number),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct PurchaseRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    product_id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Integer)]
    unit: i32,
    #[diesel(sql_type = sql_types::Timestamptz)]
    admitted_at: DateTime<Utc>,
}

impl PurchaseRow {
    pub(super) fn purchase(self) -> Result<Purchase, LedgerError> {
        Ok(Purchase {
            id: PurchaseId(self.id),
            product: ProductId::parse(&self.product_id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            user: user(&self.user_id)?,
            unit: number(self.unit),
            admitted_at: self.admitted_at,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct RecordedRow {
    #[diesel(embed)]
    purchase: PurchaseRow,
    #[diesel(sql_type = sql_types::Integer)]
    offer: i32,
    #[diesel(sql_type = sql_types::Timestamptz)]
    confirmed_at: DateTime<Utc>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    cancelled_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    cancelled_by: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    cancel_reason: Option<String>,
    #[diesel(sql_type = sql_types::Bool)]
    holds_unit: bool,
    #[diesel(sql_type = sql_types::Bool)]
    holds_right: bool,
}

impl RecordedRow {
    pub(super) fn recorded(self) -> Result<RecordedPurchase, LedgerError> {
        let cancellation = Cancellation {
            by: self.cancelled_by.unwrap_or_default(),
            reason: self.cancel_reason.unwrap_or_default(),
            keeps_unit: self.holds_unit,
            may_buy_again: !self.holds_right,
        };
        let purchase = self.purchase.purchase()?;
        let cancelled = self.cancelled_at.map(|at| (at, cancellation));
        Ok(RecordedPurchase {
            purchase,
            offer: number(self.offer),
            confirmed_at: self.confirmed_at,
            cancelled,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct CountsRow {
    #[diesel(sql_type = sql_types::BigInt)]
    recorded: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    withheld: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    on_its_way: i64,
}

impl From<CountsRow> for LedgerCounts {
    fn from(CountsRow { recorded, withheld, on_its_way }: CountsRow) -> Self {
        let [recorded, withheld, returning] = [recorded, withheld, on_its_way].map(i64::unsigned_abs);
        Self { recorded, withheld, returning }
    }
}

#[derive(QueryableByName)]
pub(super) struct EarlierRow {
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Uuid)]
    purchase_id: Uuid,
    #[diesel(sql_type = sql_types::Timestamptz)]
    imported_at: DateTime<Utc>,
}

impl EarlierRow {
    pub(super) fn purchase(self, product: &ProductId) -> Result<Purchase, LedgerError> {
        let (id, user) = (PurchaseId(self.purchase_id), user(&self.user_id)?);
        Ok(Purchase { id, product: product.clone(), user, unit: 0, admitted_at: self.imported_at })
    }
}

#[derive(QueryableByName)]
pub(super) struct NumberRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) number: i64,
}

#[derive(QueryableByName)]
pub(super) struct PseudonymRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) pseudonym: String,
}

#[derive(QueryableByName)]
pub(super) struct DiscardRow {
    #[diesel(sql_type = sql_types::Text)]
    pub(super) letter_id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub(super) purchase_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Binary)]
    pub(super) body: Vec<u8>,
}

#[derive(QueryableByName)]
pub(super) struct ChangeRow {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
    #[diesel(sql_type = sql_types::Text)]
    kind: String,
    #[diesel(sql_type = sql_types::Text)]
    product_id: String,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    purchase_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Integer)]
    unit: i32,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    admitted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    holds_unit: bool,
    #[diesel(sql_type = sql_types::Bool)]
    holds_right: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pseudonym: Option<String>,
}

impl ChangeRow {
    pub(super) fn change(self) -> Result<AdmissionChange, LedgerError> {
        let columns = ChangeColumns {
            number: self.number,
            kind: self.kind,
            product_id: self.product_id,
            user_id: self.user_id,
            purchase_id: self.purchase_id.map(PurchaseId),
            unit: number(self.unit),
            admitted_at: self.admitted_at,
            holds_unit: self.holds_unit,
            holds_right: self.holds_right,
            pseudonym: self.pseudonym,
        };
        columns.change()
    }
}

#[derive(QueryableByName)]
pub(super) struct TakenBackRow {
    #[diesel(sql_type = sql_types::Uuid)]
    purchase_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    reason: String,
    #[diesel(sql_type = sql_types::Bool)]
    is_cancelled: bool,
}

impl From<TakenBackRow> for Revocation {
    fn from(TakenBackRow { purchase_id, reason, is_cancelled }: TakenBackRow) -> Self {
        let state = if is_cancelled { PurchaseState::Cancelled } else { PurchaseState::Revoked };
        Self { id: PurchaseId(purchase_id), reason, state }
    }
}

fn user(text: &str) -> Result<UserId, LedgerError> {
    UserId::parse(text).map_err(|_why| LedgerError::Corrupt("user id"))
}

#[derive(QueryableByName)]
pub(super) struct ConfirmationRow {
    #[diesel(sql_type = sql_types::Integer)]
    unit: i32,
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Timestamptz)]
    confirmed_at: DateTime<Utc>,
}

impl ConfirmationRow {
    pub(super) fn confirmation(self) -> Confirmation {
        Confirmation { unit: number(self.unit), id: PurchaseId(self.id), at: self.confirmed_at }
    }
}

#[derive(QueryableByName)]
pub(super) struct RevocationRow {
    #[diesel(sql_type = sql_types::Uuid)]
    purchase_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    user_id: String,
}

impl RevocationRow {
    pub(super) fn owner(self) -> Result<(PurchaseId, UserId), LedgerError> {
        Ok((PurchaseId(self.purchase_id), user(&self.user_id)?))
    }
}

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = sql_types::BigInt)]
    pub(super) count: i64,
}

#[derive(QueryableByName)]
pub(super) struct UnitRow {
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) unit: i32,
}

#[derive(QueryableByName)]
pub(super) struct StockRow {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    pub(super) lower_stock_to: Option<i32>,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "they are columns")]
pub(super) struct ClassifyRow {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) id: Uuid,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    total_stock: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = sql_types::Bool)]
    revoked: bool,
    #[diesel(sql_type = sql_types::Bool)]
    recorded: bool,
    #[diesel(sql_type = sql_types::Bool)]
    right_used: bool,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    mine_id: Option<Uuid>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Integer>)]
    mine_unit: Option<i32>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    mine_admitted_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    taken: bool,
}

impl ClassifyRow {
    pub(super) fn obstacles(&self) -> Obstacles {
        let mine = match (self.mine_id, self.mine_unit, self.mine_admitted_at) {
            (Some(id), Some(unit), Some(at)) => UsersPurchase::Counts(PurchaseId(id), number(unit), at),
            _ if self.right_used => UsersPurchase::Cancelled,
            _ => UsersPurchase::None,
        };
        Obstacles {
            total_stock: self.total_stock.map(number),
            revoked: self.revoked,
            recorded: self.recorded,
            mine,
            unit_taken: self.taken,
            epoch: self.epoch.unwrap_or(0).unsigned_abs(),
        }
    }
}

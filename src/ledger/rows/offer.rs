//! What products were sold as.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    query_builder::SqlQuery,
    sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncConnectionCore, RunQueryDsl, methods::LoadQuery};

use super::product::money;
use crate::domain::{Offer, Offers, ProductId};
use crate::ledger::{
    LedgerError,
    columns::{Number, Timestamp},
};

#[derive(QueryableByName)]
pub(in crate::ledger) struct OfferRow {
    #[diesel(sql_type = Text)]
    product_id: ProductId,
    #[diesel(sql_type = Number)]
    number: u32,
    #[diesel(sql_type = Timestamp)]
    since: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    price_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
}

impl TryFrom<OfferRow> for Offer {
    type Error = LedgerError;

    fn try_from(row: OfferRow) -> Result<Self, LedgerError> {
        let price = money(row.price_minor, &row.currency)?;
        Ok(Self { product: row.product_id, number: row.number, since: row.since, price, name: row.name })
    }
}

pub(in crate::ledger) async fn read_offers<C>(connection: &mut C) -> Result<Offers, LedgerError>
where
    C: AsyncConnectionCore,
    SqlQuery: LoadQuery<'static, C, OfferRow>,
{
    let query = sql_query("SELECT product_id, number, since, name, price_minor, currency FROM offers");
    let rows: Vec<OfferRow> = query.load(connection).await?;
    let offers: Result<_, _> = rows.into_iter().map(Offer::try_from).collect();
    offers.map(Offers::new)
}

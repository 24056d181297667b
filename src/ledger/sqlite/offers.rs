//! What products were sold as.

use diesel::{QueryableByName, sql_query, sql_types as ty};
use diesel_async::RunQueryDsl;

use super::{
    connect::Connection,
    rows::{instant, unit},
};
use crate::domain::{Offer, Offers, ProductId};
use crate::ledger::{LedgerError, money};

#[derive(QueryableByName)]
struct OfferRow {
    #[diesel(sql_type = ty::Text)]
    product_id: String,
    #[diesel(sql_type = ty::BigInt)]
    number: i64,
    #[diesel(sql_type = ty::BigInt)]
    since: i64,
    #[diesel(sql_type = ty::Text)]
    name: String,
    #[diesel(sql_type = ty::BigInt)]
    price_minor: i64,
    #[diesel(sql_type = ty::Text)]
    currency: String,
}

impl TryFrom<OfferRow> for Offer {
    type Error = LedgerError;

    fn try_from(row: OfferRow) -> Result<Self, LedgerError> {
        Ok(Self {
            product: ProductId::parse(&row.product_id).map_err(|_why| LedgerError::Corrupt("product id"))?,
            number: unit(row.number)?,
            since: instant(row.since)?,
            price: money(row.price_minor, &row.currency)?,
            name: row.name,
        })
    }
}

pub(super) async fn read(connection: &mut Connection) -> Result<Offers, LedgerError> {
    let rows: Vec<OfferRow> =
        sql_query("SELECT product_id, number, since, name, price_minor, currency FROM offers")
            .load(connection)
            .await?;
    let offers: Result<_, _> = rows.into_iter().map(Offer::try_from).collect();
    offers.map(Offers::new)
}

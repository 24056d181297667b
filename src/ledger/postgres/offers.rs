//! What products were sold as.

use chrono::{DateTime, Utc};
use diesel::{QueryableByName, sql_query, sql_types as ty};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::domain::{Offer, Offers, ProductId};
use crate::ledger::{LedgerError, money, number};

#[derive(QueryableByName)]
struct OfferRow {
    #[diesel(sql_type = ty::Text)]
    product_id: String,
    #[diesel(sql_type = ty::Integer)]
    number: i32,
    #[diesel(sql_type = ty::Timestamptz)]
    since: DateTime<Utc>,
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
            number: number(row.number),
            since: row.since,
            price: money(row.price_minor, &row.currency)?,
            name: row.name,
        })
    }
}

pub(super) async fn read(connection: &mut AsyncPgConnection) -> Result<Offers, LedgerError> {
    let rows: Vec<OfferRow> =
        sql_query("SELECT product_id, number, since, name, price_minor, currency FROM offers")
            .load(connection)
            .await?;
    let offers: Result<_, _> = rows.into_iter().map(Offer::try_from).collect();
    offers.map(Offers::new)
}

//! Exporting what was recorded of a product, as CSV (RFC 4180) or as JSON lines.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::domain::{Offers, ProductId, PurchaseId, PurchaseState, RecordedPurchase};
use crate::ledger::{Ledger, LedgerError};
use crate::operations::Actor;

/// Rows read and written at a time.
const PAGE: u32 = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Jsonl,
}

/// One line of an export.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'row> {
    unit: u32,
    purchase_id: PurchaseId,
    product: &'row str,
    user_id: &'row str,
    state: PurchaseState,
    admitted_at: String,
    confirmed_at: String,
    cancelled_at: Option<String>,
    cancel_reason: Option<&'row str>,
    /// What the product was called when it was sold, and what it cost.
    name: &'row str,
    price: String,
    currency: &'row str,
}

const COLUMNS: usize = 12;
const HEADER: [&str; COLUMNS] = [
    "unit",
    "purchaseId",
    "product",
    "userId",
    "state",
    "admittedAt",
    "confirmedAt",
    "cancelledAt",
    "cancelReason",
    "name",
    "price",
    "currency",
];

impl<'row> Line<'row> {
    fn of(row: &'row RecordedPurchase, offers: &'row Offers) -> Self {
        let RecordedPurchase { purchase, offer, confirmed_at, cancelled } = row;
        let offer = offers.get(&purchase.product, *offer);
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            unit: purchase.unit,
            purchase_id: purchase.id,
            product: purchase.product.as_str(),
            user_id: purchase.user.as_str(),
            state: if cancelled.is_some() { PurchaseState::Cancelled } else { PurchaseState::Confirmed },
            admitted_at: instant(purchase.admitted_at),
            confirmed_at: instant(*confirmed_at),
            cancelled_at: cancelled.as_ref().map(|(at, _)| instant(*at)),
            cancel_reason: cancelled.as_ref().map(|(_, cancellation)| cancellation.reason.as_str()),
            name: offer.map_or("", |offer| &offer.name),
            price: offer.map(|offer| offer.price.to_string()).unwrap_or_default(),
            currency: offer.map_or("", |offer| offer.price.currency()),
        }
    }

    fn csv(&self) -> String {
        let Self { product, user_id, admitted_at, confirmed_at, .. } = self;
        let (unit, id) = (self.unit.to_string(), self.purchase_id.to_string());
        record([
            &unit,
            &id,
            product,
            user_id,
            self.state.as_str(),
            admitted_at,
            confirmed_at,
            self.cancelled_at.as_deref().unwrap_or_default(),
            self.cancel_reason.unwrap_or_default(),
            self.name,
            &self.price,
            self.currency,
        ])
    }
}

impl ExportFormat {
    /// What comes before the first row.
    pub fn header(self) -> String {
        match self {
            Self::Csv => record(HEADER),
            Self::Jsonl => String::new(),
        }
    }

    /// One line for each row, with what was sold.
    pub fn lines(self, rows: &[RecordedPurchase], offers: &Offers) -> String {
        rows.iter().map(|row| self.line(&Line::of(row, offers))).collect()
    }

    fn line(self, line: &Line<'_>) -> String {
        match self {
            Self::Csv => line.csv(),
            Self::Jsonl => serde_json::to_string(line).unwrap_or_default() + "\n", // text serialises
        }
    }
}

fn record(fields: [&str; COLUMNS]) -> String {
    fields.map(field).join(",") + "\r\n"
}

/// A spreadsheet takes a field that begins like a formula for one, also in quotes: an apostrophe
/// before it makes it text.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Reads everything that was recorded of a product, cancelled purchases too, ordered by unit, from
/// the unit after `after_unit`, and gives it with what was sold to `write`, page by page, until
/// that returns false. Returns the number of rows. While the sale runs, rows of lower units may be
/// recorded after their page was read.
pub async fn export<E: From<LedgerError>>(
    actor: &Actor,
    ledger: &dyn Ledger,
    product: &ProductId,
    after_unit: u32,
    mut write: impl AsyncFnMut(&[RecordedPurchase], &Offers) -> Result<bool, E>,
) -> Result<u64, E> {
    actor.reads("purchases: export", product.as_str());
    let (mut after, mut number) = ((after_unit, PurchaseId::LAST), 0);
    let mut offers = Offers::default();
    loop {
        let page = ledger.recorded(product, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(number) };
        after = last.position();
        number += page.len() as u64;
        // The first ones, and those that have begun meanwhile.
        if page.iter().any(|row| offers.get(product, row.offer).is_none()) {
            offers = ledger.offers().await?;
        }
        if !write(&page, &offers).await? {
            return Ok(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cancellation, Money, Offer, Purchase, UserId};

    #[test]
    fn fields_are_quoted_and_formulas_are_text() {
        for (text, expected) in [
            ("ada", "ada"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("-2", "'-2"),
            ("+44", "'+44"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn both_formats_have_the_same_values() {
        let at = DateTime::from_timestamp_millis(1_732_000_000_123).unwrap();
        let purchase = Purchase {
            id: PurchaseId::new(at, [1, 2]),
            product: ProductId::parse("p").unwrap(),
            user: UserId::parse("=ada").unwrap(),
            unit: 7,
            admitted_at: at,
        };
        let (by, reason) = ("grace".to_owned(), "refund, twice".to_owned());
        let cancellation = Cancellation { by, reason, keeps_unit: false, may_buy_again: false };
        let offer = Offer {
            product: purchase.product.clone(),
            number: 2,
            since: at,
            name: "Lamp, brass".to_owned(),
            price: Money::parse("9.5", "EUR").unwrap(),
        };
        let offers = Offers::new(vec![offer]);
        let cancelled = Some((at, cancellation));
        let rows = [RecordedPurchase { purchase, offer: 2, confirmed_at: at, cancelled }];
        let id = rows[0].purchase.id;
        let time = "2024-11-19T07:06:40.123Z";
        let csv = ExportFormat::Csv;
        assert_eq!(csv.header().trim_end(), HEADER.join(","));
        assert_eq!(
            csv.lines(&rows, &offers),
            format!(
                "7,{id},p,'=ada,CANCELLED,{time},{time},{time},\"refund, twice\",\"Lamp, brass\",9.50,EUR\r\n"
            )
        );
        let line: serde_json::Value =
            serde_json::from_str(&ExportFormat::Jsonl.lines(&rows, &offers)).unwrap();
        assert_eq!(
            (&line["userId"], &line["unit"], &line["state"]),
            (&"=ada".into(), &7.into(), &"CANCELLED".into())
        );
        assert_eq!(
            (&line["name"], &line["price"], &line["currency"]),
            (&"Lamp, brass".into(), &"9.50".into(), &"EUR".into())
        );
        assert_eq!((&line["cancelReason"], &line["admittedAt"]), (&"refund, twice".into(), &time.into()));
    }
}

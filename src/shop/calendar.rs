//! `GET /products/{product}/calendar.ics`: the opening of a sale as a calendar file (RFC 5545).

use actix_web::{HttpResponse, http::header, web::Data};
use chrono::{DateTime, TimeDelta, Utc};

use super::{sale_view::SaleView, state::Shop};
use crate::{
    domain::Product,
    http::{extract::ProductParam, pages::Numbers, problem::Problem},
};

/// Longest entry: a reminder of the opening, not the whole sale.
const ENTRY_MAX: TimeDelta = TimeDelta::minutes(30);
/// Longest line in bytes, without its end.
const LINE_LEN_MAX: usize = 75;

pub(super) async fn calendar(
    product: ProductParam,
    shop: Data<Shop>,
    numbers: Numbers,
) -> Result<HttpResponse, Problem> {
    let sale = SaleView::read(&shop.checkout, &numbers, &product).await;
    let opens_at = sale.opens_at.filter(|opens_at| *opens_at > sale.now).ok_or(Problem::NotFound)?;
    let page = shop.site.public.absolute(&format!("/products/{}", product.id));
    let file = entry(&product, opens_at, &sale, &numbers, page.as_deref());
    let disposition = format!("attachment; filename=\"{}.ics\"", product.id);
    Ok(HttpResponse::Ok()
        .content_type("text/calendar; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .body(file))
}

fn entry(
    product: &Product,
    opens_at: DateTime<Utc>,
    sale: &SaleView,
    numbers: &Numbers,
    page: Option<&str>,
) -> String {
    let instant = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
    let end = sale.closes_at.map_or(opens_at + ENTRY_MAX, |closes_at| closes_at.min(opens_at + ENTRY_MAX));
    let summary = escaped(&format!("{}: the sale opens", product.name));
    let url = page.map(|page| format!("URL:{page}"));
    let event = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//flashsale//shop//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        // A moved opening replaces the entry.
        format!("UID:{}@flashsale", product.id),
        format!("DTSTAMP:{}", instant(sale.now)),
        format!("DTSTART:{}", instant(opens_at)),
        format!("DTEND:{}", instant(end)),
        format!("SUMMARY:{summary}"),
        format!("DESCRIPTION:{}", escaped(&numbers.money(&product.price))),
    ];
    let alarm = [
        "BEGIN:VALARM".to_owned(),
        "ACTION:DISPLAY".to_owned(),
        "TRIGGER:-PT10M".to_owned(),
        format!("DESCRIPTION:{summary}"),
        "END:VALARM".to_owned(),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    let lines = event.iter().chain(&url).chain(&alarm);
    lines.flat_map(|line| [folded(line), "\r\n".to_owned()]).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// A long line goes on after a line break and a space.
fn folded(line: &str) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for character in line.chars() {
        if length + character.len_utf8() > LINE_LEN_MAX {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(character);
        length += character.len_utf8();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_long_lines_are_folded_between_characters() {
        assert_eq!(escaped("a,b;c\\d\r\ne"), "a\\,b\\;c\\\\d\\ne");
        let line = "é".repeat(100);
        let folded = folded(&line);
        assert!(folded.split("\r\n").all(|part| part.len() <= LINE_LEN_MAX), "{folded}");
        assert_eq!(folded.replace("\r\n ", ""), line);
    }
}

//! Numbers and prices as the reader's locale writes them, by the data of CLDR.

use std::{convert::Infallible, fmt, future::Ready, rc::Rc};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header};
use icu_decimal::{DecimalFormatter, input::Decimal, options::DecimalFormatterOptions};
use icu_locale_core::Locale;

use crate::domain::Money;

/// Of a request without a preference.
const DEFAULT: &str = "en";
/// Of a header; the rest is passed over.
const LANGUAGES_MAX: usize = 16;
/// Between an amount and its currency, which stay on one line.
const NO_BREAK_SPACE: char = '\u{a0}';

/// Extracted from a request's `Accept-Language`. Clones share the data.
#[derive(Clone)]
pub(crate) struct Numbers(Rc<Shared>);

struct Shared {
    locale: String,
    /// `None`: there are no data, and numbers are plain digits.
    formatter: Option<DecimalFormatter>,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Numbers({})", self.0.locale)
    }
}

impl Numbers {
    /// `accepted`: a header `Accept-Language`. Its languages that are no locales are passed over.
    pub(crate) fn of(accepted: &str) -> Self {
        let locale = preferred(accepted).or_else(|| Locale::try_from_str(DEFAULT).ok());
        let locale = locale.unwrap_or(Locale::UNKNOWN);
        let formatter = DecimalFormatter::try_new((&locale).into(), DecimalFormatterOptions::default()).ok();
        Self(Rc::new(Shared { locale: locale.to_string(), formatter }))
    }

    /// The BCP 47 tag of the locale, for scripts.
    pub(crate) fn locale(&self) -> &str {
        &self.0.locale
    }

    pub(crate) fn number(&self, number: u32) -> String {
        self.format(&Decimal::from(number))
    }

    /// An amount in the places of its currency, with the code of ISO 4217: a sign such as `$` is
    /// that of several currencies.
    pub(crate) fn money(&self, amount: &Money) -> String {
        let text = amount.to_string();
        let shown = match Decimal::try_from_str(&text) {
            Ok(decimal) => self.format(&decimal),
            Err(_no_decimal) => text,
        };
        format!("{shown}{NO_BREAK_SPACE}{}", amount.currency())
    }

    fn format(&self, decimal: &Decimal) -> String {
        match &self.0.formatter {
            Some(formatter) => formatter.format(decimal).to_string(),
            None => decimal.to_string(),
        }
    }
}

/// The locale with the highest weight among the first languages; of several, the first (RFC 9110,
/// 12.5.4).
fn preferred(accepted: &str) -> Option<Locale> {
    let mut best: Option<(f32, Locale)> = None;
    for item in accepted.split(',').take(LANGUAGES_MAX) {
        let (tag, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
        let weight: f32 = weight.unwrap_or(0.0);
        let is_better = best.as_ref().is_none_or(|(best, _)| weight > *best);
        if weight > 0.0
            && is_better
            && let Ok(locale) = Locale::try_from_str(tag.trim())
        {
            best = Some((weight, locale));
        }
    }
    best.map(|(_, locale)| locale)
}

impl FromRequest for Numbers {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let accepted = request.headers().get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or_default();
        std::future::ready(Ok(Self::of(accepted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_with_the_highest_weight_counts() {
        for (accepted, locale) in [
            ("", "en"),
            ("*", "en"),
            ("de-DE,de;q=0.9,en;q=0.8", "de-DE"),
            ("en;q=0.5, fr-CH ; q=0.9, fr;q=0.9", "fr-CH"),
            ("de;q=0, pt-BR;q=0.1", "pt-BR"),
            ("x y, 123, hi", "hi"),
            ("fr;q=much", "en"),
        ] {
            assert_eq!(Numbers::of(accepted).locale(), locale, "{accepted:?}");
        }
    }

    /// A head may be large, and a browser sends few languages.
    #[test]
    fn only_the_first_languages_are_read() {
        let many = |number: usize| format!("{}fr", "de;q=0.5,".repeat(number - 1));
        assert_eq!(Numbers::of(&many(LANGUAGES_MAX)).locale(), "fr");
        assert_eq!(Numbers::of(&many(LANGUAGES_MAX + 1)).locale(), "de");
    }

    #[test]
    fn numbers_and_prices_are_grouped_as_the_locale_does() {
        let money = |amount, currency| Money::parse(amount, currency).unwrap();
        for (accepted, number, idr, jpy, kwd) in [
            ("en", "1,234,567", "12,500,000.00\u{a0}IDR", "1,500\u{a0}JPY", "1,234.500\u{a0}KWD"),
            ("de", "1.234.567", "12.500.000,00\u{a0}IDR", "1.500\u{a0}JPY", "1.234,500\u{a0}KWD"),
            ("hi", "12,34,567", "1,25,00,000.00\u{a0}IDR", "1,500\u{a0}JPY", "1,234.500\u{a0}KWD"),
            // Of four digits, Spanish makes no groups.
            ("es", "1.234.567", "12.500.000,00\u{a0}IDR", "1500\u{a0}JPY", "1234,500\u{a0}KWD"),
            ("ar-EG", "١٬٢٣٤٬٥٦٧", "١٢٬٥٠٠٬٠٠٠٫٠٠\u{a0}IDR", "١٬٥٠٠\u{a0}JPY", "١٬٢٣٤٫٥٠٠\u{a0}KWD"),
            // No such language: the groups of English.
            ("qqq", "1,234,567", "12,500,000.00\u{a0}IDR", "1,500\u{a0}JPY", "1,234.500\u{a0}KWD"),
        ] {
            let numbers = Numbers::of(accepted);
            assert_eq!(numbers.number(1_234_567), number, "{accepted}");
            assert_eq!(numbers.money(&money("12500000", "IDR")), idr, "{accepted}");
            assert_eq!(numbers.money(&money("1500", "JPY")), jpy, "{accepted}");
            assert_eq!(numbers.money(&money("1234.5", "KWD")), kwd, "{accepted}");
        }
    }
}

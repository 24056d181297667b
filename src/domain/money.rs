//! Exact amounts of money: whole minor units (cents), never floats.

use std::fmt;

use iso_currency::Currency;

/// An amount in a currency, held as a whole number of minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    minor: i64,
    /// Decimal places of the currency.
    places: usize,
    currency: String,
}

/// Why a text is not an amount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    #[error("the currency must be one of ISO 4217, such as \"USD\"")]
    Currency,
    /// The amount is not a plain decimal with as many places as the currency has.
    #[error("amount must be a plain decimal with at most {places} decimal places, such as \"{example}\"")]
    Amount {
        /// Decimal places of the currency.
        places: usize,
        /// A well-formed amount in that currency.
        example: String,
    },
}

impl Money {
    /// Reads a decimal text such as `"999.99"`. Zero is allowed, a sign or an exponent is not.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        let places = decimal_places(currency)?;
        let example = if places == 0 { "1000".to_owned() } else { format!("999.{}", "9".repeat(places)) };
        let malformed = MoneyError::Amount { places, example };
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let dangling_point = amount.ends_with('.');
        if whole.is_empty()
            || !digits(whole)
            || !digits(fraction)
            || fraction.len() > places
            || dangling_point
        {
            return Err(malformed);
        }
        let minor = format!("{whole}{fraction:0<places$}").parse().map_err(|_overflow| malformed)?;
        Ok(Self { minor, places, currency: currency.to_owned() })
    }

    /// An amount from the ledger's columns.
    pub fn from_minor(minor: i64, currency: &str) -> Result<Self, MoneyError> {
        Ok(Self { minor, places: decimal_places(currency)?, currency: currency.to_owned() })
    }

    /// What is left when another amount is taken away. `None`: nothing, or it
    /// is in another currency.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        let minor = self
            .minor
            .checked_sub(other.minor)
            .filter(|left| *left > 0 && self.currency == other.currency)?;
        Some(Self { minor, ..self.clone() })
    }

    /// The amount in minor units.
    pub fn minor(&self) -> i64 {
        self.minor
    }

    /// ISO 4217 code.
    pub fn currency(&self) -> &str {
        &self.currency
    }
}

/// The plain decimal, without the currency: `999.99`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.places;
        if places == 0 {
            return write!(out, "{}", self.minor);
        }
        let digits = format!("{:0>width$}", self.minor, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        write!(out, "{whole}.{fraction}")
    }
}

/// Of a currency of ISO 4217.
fn decimal_places(currency: &str) -> Result<usize, MoneyError> {
    let currency = Currency::from_code(currency).ok_or(MoneyError::Currency)?;
    // Metals and other codes that are no money have none.
    currency.exponent().map(usize::from).ok_or(MoneyError::Currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_and_prints_exactly() {
        for (amount, currency, minor, printed) in [
            ("999.99", "USD", 99_999, "999.99"),
            ("0.05", "EUR", 5, "0.05"),
            ("12", "USD", 1_200, "12.00"),
            ("12.5", "USD", 1_250, "12.50"),
            ("1500", "JPY", 1_500, "1500"),
            ("1.234", "KWD", 1_234, "1.234"),
            ("12500000", "IDR", 1_250_000_000, "12500000.00"),
            ("9.9999", "CLF", 99_999, "9.9999"),
        ] {
            let money = Money::parse(amount, currency).unwrap();
            assert_eq!((money.minor(), money.to_string().as_str()), (minor, printed), "{amount} {currency}");
        }
    }

    #[test]
    fn what_is_saved_is_exact_and_never_negative() {
        let money = |amount, currency| Money::parse(amount, currency).unwrap();
        let saved = money("1499.00", "USD").minus(&money("999.99", "USD")).map(|saved| saved.to_string());
        assert_eq!(saved.as_deref(), Some("499.01"));
        assert_eq!(money("1", "USD").minus(&money("1", "USD")), None);
        assert_eq!(money("2", "USD").minus(&money("1", "EUR")), None);
    }

    #[test]
    fn anything_but_a_plain_decimal_is_refused() {
        for amount in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "9.999", "NaN", " 1", "99999999999999999999"]
        {
            assert!(Money::parse(amount, "USD").is_err(), "{amount:?} was accepted");
        }
        assert!(Money::parse("1.5", "JPY").is_err());
        for currency in ["", "usd", "US", "USDX", "U$D", "ZZZ", "XAU"] {
            assert_eq!(Money::parse("1", currency), Err(MoneyError::Currency), "{currency:?}");
        }
    }
}

//! A sale as pages show it.

use chrono::{DateTime, Utc};

use super::text;
use crate::{
    checkout::Checkout,
    domain::{Phase, Product},
    http::pages::{Moment, Numbers, phase_key, phase_text},
};

/// Few are left when at most one in so many is.
const FEW: u32 = 10;
/// Without scripts, a page that waits for the opening loads itself again after at most this time.
const REFRESH_S_MAX: i64 = 300;

/// Without admission's state (`phase` is `None`) it is what the catalogue says.
pub(super) struct SaleView {
    pub(super) phase: Option<Phase>,
    pub(super) stock: Option<u32>,
    pub(super) total: u32,
    pub(super) opens_at: Option<DateTime<Utc>>,
    pub(super) closes_at: Option<DateTime<Utc>>,
    /// By the clock that opens and closes the sale.
    pub(super) now: DateTime<Utc>,
    numbers: Numbers,
}

impl SaleView {
    /// A cached read of the sale and of its product.
    pub(super) async fn read(checkout: &Checkout, numbers: &Numbers, product: &Product) -> Self {
        let numbers = numbers.clone();
        match checkout.reader.sale(&product.id).await {
            Ok(sale) => Self {
                phase: Some(sale.phase()),
                stock: Some(sale.remaining),
                total: sale.terms.total_stock,
                opens_at: sale.terms.opens_at,
                closes_at: sale.terms.closes_at,
                now: sale.now,
                numbers,
            },
            Err(_not_ready) => Self {
                phase: None,
                stock: None,
                total: product.total_stock,
                opens_at: product.sale_start,
                closes_at: product.sale_end,
                now: checkout.reader.now(),
                numbers,
            },
        }
    }

    pub(super) fn key(&self) -> &'static str {
        phase_key(self.phase)
    }

    pub(super) fn badge(&self) -> &'static str {
        phase_text(self.phase)
    }

    pub(super) fn button(&self) -> &'static str {
        text::button(self.phase)
    }

    pub(super) fn over(&self) -> &'static str {
        text::over(self.phase)
    }

    pub(super) fn waiting(&self) -> &'static str {
        text::waiting(self.phase)
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase == Some(Phase::Active)
    }

    pub(super) fn is_upcoming(&self) -> bool {
        self.phase == Some(Phase::Upcoming)
    }

    /// Units left, where that is of use to a visitor: not before the sale and not after it.
    pub(super) fn left(&self) -> Option<u32> {
        self.stock.filter(|_| matches!(self.phase, Some(Phase::Active | Phase::Paused)))
    }

    pub(super) fn is_low(&self) -> bool {
        self.left().is_some_and(|left| left <= self.total.div_ceil(FEW))
    }

    /// Of what is left, in thousandths of the total.
    pub(super) fn level(&self) -> u64 {
        u64::from(self.stock.unwrap_or(0)) * 1000 / u64::from(self.total.max(1))
    }

    pub(super) fn stock_data(&self) -> String {
        self.stock.map(|stock| stock.to_string()).unwrap_or_default()
    }

    pub(super) fn stock_text(&self) -> String {
        self.stock.map_or("?".to_owned(), |stock| self.numbers.number(stock))
    }

    pub(super) fn total_text(&self) -> String {
        self.numbers.number(self.total)
    }

    /// How many there are, and for whom.
    pub(super) fn units(&self) -> String {
        match self.total {
            1 => "There is one unit.".to_owned(),
            total => format!("{} units, one each.", self.numbers.number(total)),
        }
    }

    pub(super) fn opens_at_data(&self) -> String {
        millis(self.opens_at)
    }

    pub(super) fn closes_at_data(&self) -> String {
        millis(self.closes_at)
    }

    pub(super) fn now_data(&self) -> i64 {
        self.now.timestamp_millis()
    }

    /// The opening, while it is to come.
    pub(super) fn opens(&self) -> Option<Moment> {
        self.opens_at.filter(|_| self.is_upcoming()).map(Moment::from)
    }

    pub(super) fn closes(&self) -> Option<Moment> {
        self.closes_at.map(Moment::from)
    }

    /// When a page that waits for the opening loads itself again, in seconds.
    pub(super) fn refresh_s(&self) -> i64 {
        let remaining = self.opens_at.map_or(0, |opens_at| (opens_at - self.now).num_seconds() + 1);
        remaining.clamp(2, REFRESH_S_MAX)
    }
}

fn millis(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default()
}

//! The wire format of evidence: one JSON object per line, in any order, tagged by `type`.
//!
//! `sale` comes once; `row`, `winner`, `entry` and `dead` are purchases in the ledger, in
//! admission, in the outbox and in the dead-letter queue; `cancelled` is a row that was cancelled,
//! `earlier` an imported purchase, `used` a right that admission has as used up; `free` is a
//! returned unit, `revocation` a revoked purchase. Times are in milliseconds since 1970.

use std::{collections::HashMap, io::BufRead};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{AdmissionState, CancelledRow, Evidence};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UsedRight, UserId};

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Line {
    Sale(Sale),
    Row(Bought),
    Winner(Bought),
    WireEntry(WireEntry),
    Dead(Bought),
    Cancelled(WireCancelled),
    Earlier(Bought),
    Used(WireUsed),
    Free { unit: u32 },
    Revocation { id: String, user: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sale {
    total_stock: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower_stock_to: Option<u32>,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    paused: bool,
    queued: Option<u32>,
    admission: Option<Admission>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Admission {
    epoch: u64,
    total_stock: u32,
    next: u32,
    remaining: u32,
    in_flight: u64,
    now: i64,
    at_rest: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bought {
    id: PurchaseId,
    user: String,
    unit: u32,
    admitted_at: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    confirmed_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    #[serde(rename = "entry")]
    position: String,
    epoch: u64,
    #[serde(flatten)]
    bought: Bought,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCancelled {
    keeps_unit: bool,
    may_buy_again: bool,
    #[serde(flatten)]
    bought: Bought,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsed {
    is_cancelled: bool,
    #[serde(flatten)]
    bought: Bought,
}

impl Bought {
    fn of(purchase: &Purchase) -> Self {
        Self {
            id: purchase.id,
            user: purchase.user.to_string(),
            unit: purchase.unit,
            admitted_at: purchase.admitted_at.timestamp_millis(),
            confirmed_at: None,
        }
    }

    fn purchase(self, product: &ProductId) -> anyhow::Result<Purchase> {
        let user = UserId::parse(&self.user)?;
        let admitted_at = instant(self.admitted_at)?;
        Ok(Purchase { id: self.id, product: product.clone(), user, unit: self.unit, admitted_at })
    }
}

fn instant(millis: i64) -> anyhow::Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis).with_context(|| format!("{millis} is not a time"))
}

impl Evidence {
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let terms = &self.terms;
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        let admission = self.admission.as_ref();
        let sale = Line::Sale(Sale {
            total_stock: terms.total_stock,
            lower_stock_to: self.lower_stock_to,
            opens_at: millis(terms.opens_at),
            closes_at: millis(terms.closes_at),
            paused: terms.paused,
            queued: self.queued,
            admission: admission.map(|AdmissionState { sale, at_rest, .. }| Admission {
                epoch: sale.epoch,
                total_stock: sale.terms.total_stock,
                next: sale.next,
                remaining: sale.remaining,
                in_flight: sale.in_flight,
                now: sale.now.timestamp_millis(),
                at_rest: *at_rest,
            }),
        });
        let rows = self.rows.iter().map(|row| {
            let confirmed_at = self.confirmed_at.get(&row.id).map(DateTime::timestamp_millis);
            Line::Row(Bought { confirmed_at, ..Bought::of(row) })
        });
        let admissions = admission.into_iter().flat_map(|admission| {
            let winners = admission.winners.iter().map(|winner| Line::Winner(Bought::of(winner)));
            let free = admission.free.iter().map(|unit| Line::Free { unit: *unit });
            let entries = admission.outbox.iter().map(|entry| {
                let bought = Bought::of(&entry.purchase);
                Line::WireEntry(WireEntry { position: entry.id.to_string(), epoch: entry.epoch, bought })
            });
            let used = admission.used.iter().map(|UsedRight { purchase, is_cancelled }| {
                Line::Used(WireUsed { is_cancelled: *is_cancelled, bought: Bought::of(purchase) })
            });
            winners.chain(free).chain(entries).chain(used)
        });
        let cancelled = self.cancelled.iter().map(|row| {
            let CancelledRow { purchase, keeps_unit, may_buy_again } = row;
            let (keeps_unit, may_buy_again) = (*keeps_unit, *may_buy_again);
            Line::Cancelled(WireCancelled { keeps_unit, may_buy_again, bought: Bought::of(purchase) })
        });
        let earlier = self.earlier.iter().map(|purchase| Line::Earlier(Bought::of(purchase)));
        let dead = self.dead.iter().map(|purchase| Line::Dead(Bought::of(purchase)));
        let revocations = self.revocations.iter();
        let revocations =
            revocations.map(|(id, user)| Line::Revocation { id: id.clone(), user: user.clone() });
        let lines = std::iter::once(sale).chain(rows).chain(cancelled).chain(earlier);
        let lines = lines.chain(admissions).chain(dead).chain(revocations);
        lines.map(|line| serde_json::to_string(&line).unwrap_or_default() + "\n") // strings and numbers always serialise
    }

    /// Reads what [`Evidence::lines`] wrote.
    pub fn read(lines: impl BufRead, product: &ProductId) -> anyhow::Result<Self> {
        let mut sale = None;
        let (mut rows, mut confirmed_at, mut dead) = (Vec::new(), HashMap::new(), Vec::new());
        let (mut winners, mut free, mut outbox) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cancelled, mut earlier, mut used) = (Vec::new(), Vec::new(), Vec::new());
        let mut revocations = HashMap::new();
        for (index, line) in lines.lines().enumerate() {
            let read = serde_json::from_str(&line?);
            match read.with_context(|| format!("line {} of the evidence", index + 1))? {
                Line::Sale(line) => sale = Some(line),
                Line::Row(row) => {
                    if let Some(millis) = row.confirmed_at {
                        confirmed_at.insert(row.id, instant(millis)?);
                    }
                    rows.push(row.purchase(product)?);
                }
                Line::Winner(winner) => winners.push(winner.purchase(product)?),
                Line::Dead(purchase) => dead.push(purchase.purchase(product)?),
                Line::Cancelled(WireCancelled { keeps_unit, may_buy_again, bought }) => {
                    let purchase = bought.purchase(product)?;
                    cancelled.push(CancelledRow { purchase, keeps_unit, may_buy_again });
                }
                Line::Earlier(purchase) => earlier.push(purchase.purchase(product)?),
                Line::Used(WireUsed { is_cancelled, bought }) => {
                    used.push(UsedRight { purchase: bought.purchase(product)?, is_cancelled });
                }
                Line::Free { unit } => free.push(unit),
                Line::Revocation { id, user } => drop(revocations.insert(id, user)),
                Line::WireEntry(WireEntry { position, epoch, bought }) => {
                    let id: EntryId = position.parse()?;
                    outbox.push(Entry { id, epoch, purchase: bought.purchase(product)? });
                }
            }
        }
        let sale = sale.context("the evidence has no line about the sale")?;
        let terms = Terms {
            total_stock: sale.total_stock,
            opens_at: sale.opens_at.map(instant).transpose()?,
            closes_at: sale.closes_at.map(instant).transpose()?,
            paused: sale.paused,
        };
        let state = |of: Admission| {
            let Admission { epoch, total_stock, next, remaining, in_flight, now, at_rest } = of;
            let (terms, dead) = (Terms { total_stock, ..terms.clone() }, dead.len() as u64);
            let sale = SaleState {
                epoch,
                terms,
                next,
                remaining,
                in_flight,
                dead,
                newest: None,
                now: instant(now)?,
            };
            anyhow::Ok(AdmissionState { sale, winners, used, free, at_rest, outbox })
        };
        let admission = sale.admission.map(state).transpose()?;
        let (queued, before) = (sale.queued, std::collections::HashSet::new());
        Ok(Self {
            terms,
            lower_stock_to: sale.lower_stock_to,
            rows,
            cancelled,
            earlier,
            confirmed_at,
            before,
            revocations,
            admission,
            queued,
            dead,
        })
    }
}

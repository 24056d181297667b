//! Parsing of the scripts' replies.

use chrono::DateTime;

use crate::admission::{AdmissionError, Decision, Found, Reassignment, RebuildStep, Watermark};
use crate::domain::{Entry, EntryId, Outcome, ProductId, Purchase, PurchaseId, PurchaseState};
use crate::domain::{SaleState, Terms, UserId, sale::remaining};

/// The elements of a script's reply, all of them text or integers.
pub(super) type Reply = Vec<redis::Value>;

/// Reads a reply's elements in order.
struct Reader<'reply> {
    rest: &'reply [redis::Value],
}

impl Reader<'_> {
    fn text(&mut self) -> Result<&str, AdmissionError> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| malformed(&"the reply is too short"))?;
        self.rest = rest;
        match first {
            redis::Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|error| malformed(&error)),
            redis::Value::SimpleString(text) => Ok(text),
            redis::Value::Int(0) => Ok("0"),
            redis::Value::Int(1) => Ok("1"),
            redis::Value::Int(2) => Ok("2"),
            redis::Value::Int(3) => Ok("3"),
            other => Err(malformed(&format!("{other:?}"))),
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, AdmissionError> {
        let text = self.text()?;
        text.parse().map_err(|_unreadable| malformed(&format!("{text:?} is not a number or id")))
    }

    /// `unit, purchase id, entry id, epoch`
    fn entry(&mut self, product: &ProductId, user: &UserId) -> Result<Entry, AdmissionError> {
        let unit = self.parsed()?;
        let purchase_id = PurchaseId(self.parsed()?);
        let id: EntryId = self.parsed()?;
        let epoch = self.parsed()?;
        let purchase = Purchase {
            id: purchase_id,
            product: product.clone(),
            user: user.clone(),
            unit,
            admitted_at: id.admitted_at(),
        };
        Ok(Entry { id, epoch, purchase })
    }

    /// As `state_of` in `prelude.lua` replies it. `None`: the purchase is in the outbox.
    fn state(&mut self) -> Result<Option<PurchaseState>, AdmissionError> {
        match self.text()? {
            "0" => Ok(Some(PurchaseState::Confirmed)),
            "1" => Ok(None),
            "2" => Ok(Some(PurchaseState::Cancelled)),
            "3" => Ok(Some(PurchaseState::Pending)),
            other => Err(malformed(&other)),
        }
    }
}

pub(super) fn malformed(what: &dyn std::fmt::Display) -> AdmissionError {
    AdmissionError::Malformed(what.to_string().into())
}

/// How far a state is that lacks what the caller has seen. `None`: it does not.
pub(super) fn rolled_back(reply: &Reply) -> Result<Option<Watermark>, AdmissionError> {
    if !matches!(reply.first(), Some(redis::Value::BulkString(word)) if word == b"ROLLED_BACK") {
        return Ok(None);
    }
    let mut reader = Reader { rest: reply.get(1..).unwrap_or_default() };
    Ok(Some(Watermark { epoch: reader.parsed()?, unit: reader.parsed()? }))
}

pub(super) fn decision(
    reply: &Reply,
    product: &ProductId,
    user: &UserId,
) -> Result<Decision, AdmissionError> {
    let mut reader = Reader { rest: reply };
    let refused = |outcome| Ok(Decision::Refused(outcome));
    match reader.text()? {
        "SUCCESS" => Ok(Decision::Won(reader.entry(product, user)?)),
        "PURCHASED" => {
            let entry = reader.entry(product, user)?;
            Ok(match reader.state()? {
                None => Decision::InOutbox(entry),
                Some(state) => Decision::Already(entry, state),
            })
        }
        "SOLD_OUT" => refused(Outcome::SoldOut),
        "UPCOMING" => refused(Outcome::Upcoming),
        "ENDED" => refused(Outcome::Ended),
        "PAUSED" => refused(Outcome::Paused),
        "NOT_READY" => Err(AdmissionError::NotReady),
        other => Err(malformed(&other)),
    }
}

pub(super) fn found(reply: &Reply, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
    let mut reader = Reader { rest: reply };
    match reader.text()? {
        "FOUND" => {
            let entry = reader.entry(product, user)?;
            Ok(Found::Purchase(entry, reader.state()?.unwrap_or(PurchaseState::Pending)))
        }
        "NONE" => Ok(Found::Nothing { revocations: reader.text()? != "0" }),
        "NOT_READY" => Err(AdmissionError::NotReady),
        other => Err(malformed(&other)),
    }
}

pub(super) fn reassignment(
    reply: &Reply,
    product: &ProductId,
    user: &UserId,
) -> Result<Reassignment, AdmissionError> {
    let mut reader = Reader { rest: reply };
    match reader.text()? {
        "MOVED" => Ok(Reassignment::Moved(reader.entry(product, user)?)),
        "OTHER" => Ok(Reassignment::Other(reader.entry(product, user)?)),
        "NONE" => Ok(Reassignment::NoUnitLeft),
        "NOT_READY" => Err(AdmissionError::NotReady),
        other => Err(malformed(&other)),
    }
}

/// Whether the script did what it is for.
pub(super) fn is_done(reply: &Reply) -> Result<bool, AdmissionError> {
    match (Reader { rest: reply }).text()? {
        "DONE" => Ok(true),
        "NONE" | "KEPT" => Ok(false),
        "NOT_READY" => Err(AdmissionError::NotReady),
        other => Err(malformed(&other)),
    }
}

pub(super) fn sale(reply: &Reply) -> Result<SaleState, AdmissionError> {
    let mut reader = Reader { rest: reply };
    let first = reader.text()?;
    match first {
        "NOT_READY" => return Err(AdmissionError::NotReady),
        "REBUILDING" => return Err(AdmissionError::Rebuilding(RebuildStep::of_number(reader.parsed()?))),
        _ => {}
    }
    let epoch = first.parse().map_err(|_not_a_number| malformed(&"epoch"))?;
    let total_stock: u32 = reader.parsed()?;
    let next: u32 = reader.parsed()?;
    let opens_at = instant(reader.text()?)?;
    let closes_at = instant(reader.text()?)?;
    let paused = reader.text()? == "1";
    let free: usize = reader.parsed()?;
    let in_flight = reader.parsed()?;
    let now = instant(reader.text()?)?.ok_or_else(|| malformed(&"no time"))?;
    let dead = reader.parsed()?;
    let newest = match reader.text()? {
        "" => None,
        id => Some(id.parse().map_err(|_unreadable| malformed(&"the newest entry"))?),
    };
    let remaining = remaining(total_stock, next, free);
    let terms = Terms { total_stock, opens_at, closes_at, paused };
    Ok(SaleState { epoch, terms, next, remaining, in_flight, dead, newest, now })
}

fn instant(millis: &str) -> Result<Option<DateTime<chrono::Utc>>, AdmissionError> {
    if millis.is_empty() {
        return Ok(None);
    }
    let read = millis.parse().ok().and_then(DateTime::from_timestamp_millis);
    read.map(Some).ok_or_else(|| malformed(&format!("{millis:?} is not a time")))
}

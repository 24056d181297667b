//! The records in the keys themselves: winners, used rights, free units and outbox entries. What
//! this program did not write is left out, so that it can't stop the rest.

use super::replies::malformed;
use crate::admission::{AdmissionError, Contents};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, UsedRight, UserId};
use crate::runtime::error_chain;

/// The record in `buyers` of a purchase that has no outbox entry: its entry id is the admission
/// time with a sequence that no stream gives out.
pub(super) fn record(purchase: &Purchase) -> String {
    format!("{} {} {}", purchase.unit, purchase.id, EntryId::end_of(purchase.admitted_at))
}

/// Reads `free` and, page by page, `buyers`. What is left out is told once.
pub(super) struct Winners<'product> {
    product: &'product ProductId,
    contents: Contents,
    unreadable: usize,
    /// The first of the unreadable.
    example: String,
}

impl<'product> Winners<'product> {
    pub(super) fn of(product: &'product ProductId, free: &[String]) -> Self {
        let mut read = Self { product, contents: Contents::default(), unreadable: 0, example: String::new() };
        for unit in free {
            match unit.parse() {
                Ok(unit) => read.contents.free.push(unit),
                Err(_not_a_unit) => read.skip(|| format!("the free unit {unit:.100?}")),
            }
        }
        read
    }

    pub(super) fn add(&mut self, page: Vec<(String, String)>) {
        for (user, value) in page {
            match owner(self.product, &user, &value) {
                Some(Owner::Winner(winner)) => self.contents.winners.push(winner),
                Some(Owner::Used(right)) => self.contents.used.push(right),
                None => self.skip(|| format!("the winner {user:.100?} with {value:.100?}")),
            }
        }
    }

    fn skip(&mut self, example: impl FnOnce() -> String) {
        if self.unreadable == 0 {
            self.example = example();
        }
        self.unreadable += 1;
    }

    pub(super) fn contents(self) -> Contents {
        let Self { product, mut contents, unreadable, example } = self;
        if unreadable > 0 {
            tracing::warn!(%product, unreadable, "skipped what flashsale did not write: {example}");
        }
        // A scan may return a field twice.
        contents.winners.sort_by_key(|winner| (winner.unit, winner.id));
        contents.winners.dedup();
        contents.used.sort_by(|one, other| one.purchase.user.cmp(&other.purchase.user));
        contents.used.dedup();
        contents
    }
}

/// What a field of `buyers` is.
enum Owner {
    Winner(Purchase),
    Used(UsedRight),
}

/// A field of `buyers`: user, and `unit purchase-id entry-id`, with `C` behind it where
/// the purchase was cancelled.
fn owner(product: &ProductId, user: &str, value: &str) -> Option<Owner> {
    let mut parts = value.split(' ');
    let (unit, id) = (parts.next()?.parse().ok()?, PurchaseId(parts.next()?.parse().ok()?));
    let entry_id: EntryId = parts.next()?.parse().ok()?;
    let (user, admitted_at) = (UserId::parse(user).ok()?, entry_id.admitted_at());
    let is_cancelled = match parts.next() {
        None => false,
        Some("C") => true,
        Some(_unknown) => return None,
    };
    let purchase = Purchase { id, product: product.clone(), user, unit, admitted_at };
    if is_cancelled || unit == 0 {
        return Some(Owner::Used(UsedRight { purchase, is_cancelled }));
    }
    let entry = Entry { id: entry_id, epoch: 0, purchase };
    entry.check().ok().map(|()| Owner::Winner(entry.purchase))
}

/// The entries of an `XRANGE`.
pub(super) fn outbox(reply: redis::streams::StreamRangeReply, product: &ProductId) -> Vec<Entry> {
    let entry = |stream_id: redis::streams::StreamId| {
        let field = |name: &str| {
            let value: Option<String> = stream_id.get(name);
            value.ok_or_else(|| malformed(&format!("outbox entry {} has no {name}", stream_id.id)))
        };
        let unreadable = |what: &str| malformed(&format!("outbox entry {} has a bad {what}", stream_id.id));
        let id: EntryId = stream_id.id.parse().map_err(|_unreadable| unreadable("id"))?;
        let purchase = Purchase {
            id: PurchaseId(field("id")?.parse().map_err(|_unreadable| unreadable("purchase id"))?),
            product: product.clone(),
            user: UserId::parse(&field("user")?).map_err(|_unreadable| unreadable("user"))?,
            unit: field("unit")?.parse().map_err(|_unreadable| unreadable("unit"))?,
            admitted_at: id.admitted_at(),
        };
        let epoch = field("epoch")?.parse().map_err(|_unreadable| unreadable("epoch"))?;
        let entry = Entry { id, epoch, purchase };
        entry.check().map_err(unreadable)?;
        Ok(entry)
    };
    let mut entries = Vec::new();
    for stream_id in reply.ids {
        let read: Result<_, AdmissionError> = entry(stream_id);
        match read {
            Ok(entry) => entries.push(entry),
            Err(error) => tracing::warn!(%product, "skipped: {}", error_chain(&error)),
        }
    }
    entries
}

//! The ledger's snapshot of one product, loaded into admission page by page.

use std::{collections::HashSet, iter::Peekable};

use super::RecoveryError;
use crate::admission::{Admission, SnapshotTotals, StagedPart};
use crate::domain::{Claims, ProductId, Purchase, PurchaseId, RecordedPurchase, UsedRight, UserId};
use crate::ledger::Ledger;

/// Rows read and staged at a time.
const PAGE: u32 = 2_000;

pub(super) struct Snapshot<'rebuild> {
    pub(super) admission: &'rebuild dyn Admission,
    pub(super) product: &'rebuild ProductId,
    pub(super) epoch: u64,
}

#[derive(Default)]
pub(super) struct Loaded {
    /// Recorded purchases that count, and dead-lettered ones.
    pub(super) buyers: u32,
    /// Units below the highest one that is held, and that nobody has.
    pub(super) free: u32,
    pub(super) totals: SnapshotTotals,
}

impl Snapshot<'_> {
    /// Stages what the ledger has, and the dead-lettered purchases of `pending`, ordered by unit.
    pub(super) async fn load(
        &self,
        ledger: &dyn Ledger,
        pending: Vec<Purchase>,
    ) -> Result<Loaded, RecoveryError> {
        let mut loaded = Loaded::default();
        let pending_users: HashSet<_> = pending.iter().map(|purchase| purchase.user.clone()).collect();
        let mut pending = pending.into_iter().peekable();
        let mut after = (0, PurchaseId::FIRST);
        loop {
            let page = ledger.recorded(self.product, after, PAGE).await?;
            let last_row = page.last().map(RecordedPurchase::position);
            let up_to = last_row.map_or(u32::MAX, |(unit, _)| unit);
            let mut claims: Vec<_> = page.iter().map(RecordedPurchase::claims).collect();
            // A user has one record.
            let is_pending = |right: &UsedRight| pending_users.contains(&right.purchase.user);
            for claims in &mut claims {
                claims.used = claims.used.take().filter(|right| !is_pending(right));
            }
            let may_buy_again = |row: &RecordedPurchase| {
                row.cancelled.as_ref().is_some_and(|(_, cancellation)| cancellation.may_buy_again)
            };
            loaded.totals.revoked |= page.iter().any(may_buy_again);
            self.stage_page(&mut loaded, claims, take_up_to(up_to, &mut pending)).await?;
            match last_row {
                Some(position) => after = position,
                None => break,
            }
        }
        self.stage_earlier_buyers(&mut loaded, ledger, &pending_users).await?;
        loaded.totals.revoked |= !ledger.revocations(self.product).await?.is_empty();
        Ok(loaded)
    }

    /// The rows of one unit may be on two pages: only the unit of the last row is not complete.
    async fn stage_page(
        &self,
        loaded: &mut Loaded,
        claims: Vec<Claims>,
        dead_lettered: Vec<Purchase>,
    ) -> Result<(), RecoveryError> {
        let (mut units, mut part) = (Vec::new(), StagedPart { dead_lettered, ..StagedPart::default() });
        units.extend(part.dead_lettered.iter().map(|purchase| purchase.unit));
        for Claims { winner, used, withheld } in claims {
            units.extend(winner.as_ref().map(|winner| winner.unit));
            units.extend(withheld);
            // A user without a unit, or a unit without a user.
            loaded.totals.balance += i64::from(used.is_some()) - i64::from(withheld.is_some());
            part.recorded.extend(winner);
            part.used.extend(used);
        }
        units.sort_unstable();
        let buyers = part.recorded.len() + part.dead_lettered.len();
        loaded.buyers += u32::try_from(buyers).unwrap_or(u32::MAX);
        let mut free: Vec<u32> = Vec::new();
        for unit in units {
            free.extend(loaded.totals.next + 1..unit);
            loaded.totals.next = unit;
        }
        loaded.free += u32::try_from(free.len()).unwrap_or(u32::MAX);
        self.stage(part, &free).await
    }

    /// Users who bought elsewhere, apart from those whose purchase is dead-lettered.
    async fn stage_earlier_buyers(
        &self,
        loaded: &mut Loaded,
        ledger: &dyn Ledger,
        pending: &HashSet<UserId>,
    ) -> Result<(), RecoveryError> {
        let mut after = None;
        loop {
            let page = ledger.earlier_buyers(self.product, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.user.clone());
            let barred = page.into_iter().filter(|purchase| !pending.contains(&purchase.user));
            let used: Vec<_> = barred.map(|purchase| UsedRight { purchase, is_cancelled: false }).collect();
            loaded.totals.balance += i64::try_from(used.len()).unwrap_or(i64::MAX);
            self.stage(StagedPart { used, ..StagedPart::default() }, &[]).await?;
        }
    }

    /// A gap may be long; a script's arguments must not be.
    async fn stage(&self, part: StagedPart, free: &[u32]) -> Result<(), RecoveryError> {
        let mut parts = free.chunks(PAGE as usize);
        let mut part = StagedPart { free: parts.next().unwrap_or(&[]).to_vec(), ..part };
        while part != StagedPart::default() {
            self.admission.stage(self.product, self.epoch, &part).await?;
            part = StagedPart { free: parts.next().unwrap_or(&[]).to_vec(), ..StagedPart::default() };
        }
        Ok(())
    }
}

/// Takes the purchases of the units up to this one.
fn take_up_to(unit: u32, ordered: &mut Peekable<impl Iterator<Item = Purchase>>) -> Vec<Purchase> {
    std::iter::from_fn(|| ordered.next_if(|purchase| purchase.unit <= unit)).collect()
}

//! What a rebuild takes over besides what the queue holds: every other store that may hold a
//! promise which the ledger lacks. These are the outbox and the winners of an admission state that
//! was fenced with its data, and the dead-letter queue.
//!
//! They come after the queue. Then nothing of the stopped products is on its way any more, and a
//! unit that the ledger has not given away is nobody's: whichever epoch admitted a purchase, it is
//! recorded where its buyer and its unit are free.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use super::RecoveryError;
use crate::broker::{BrokerError, DeadLetters, DeliveryHistory};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId};
use crate::worker::{Dead, Mode, NO_UNIT_LEFT, Rebuilding, Recorder, has_other};

/// Purchases recorded in one transaction.
const BATCH_ITEMS_MAX: usize = 1_000;

/// Dead-lettered purchases that keep their units, by product, ordered by unit.
pub(super) type Pending = BTreeMap<ProductId, Vec<Purchase>>;

/// The sources of one rebuild.
pub(super) struct Sources {
    recorder: Recorder,
    /// Purchases that were taken from one source are skipped in the next.
    seen: HashSet<PurchaseId>,
    /// What the dead-letter queue has of these products.
    letters: Vec<Entry>,
    in_letters: HashSet<PurchaseId>,
    dead: Vec<Dead>,
}

impl Sources {
    /// Of a rebuild that has drained the queue. `held`: the dead letters, since before the drain.
    pub(super) async fn read(
        recorder: Recorder,
        rebuilding: &Rebuilding,
        held: Option<&mut dyn DeadLetters>,
    ) -> Result<Self, BrokerError> {
        let mode = Mode::Rebuilding(rebuilding.of_any_epoch());
        let letters = match held {
            Some(held) => read_letters(held, rebuilding).await?,
            None => Vec::new(),
        };
        let in_letters = letters.iter().map(|entry| entry.purchase.id).collect();
        Ok(Self {
            recorder: Recorder { mode, ..recorder },
            seen: HashSet::new(),
            letters,
            in_letters,
            dead: Vec::new(),
        })
    }

    /// Records what these products' sources hold and the ledger lacks. Returns what can't be
    /// recorded and keeps its unit; the rest of that is revoked.
    pub(super) async fn take_over(
        mut self,
        products: impl Iterator<Item = &ProductId>,
    ) -> Result<Pending, RecoveryError> {
        for product in products {
            self.take_outbox(product).await?;
            self.take_winners(product).await?;
        }
        for dead in &self.dead {
            if !self.in_letters.contains(&dead.entry.purchase.id) {
                self.recorder.dead_letter_entry(dead, DeliveryHistory::default()).await?;
            }
        }
        let letters = std::mem::take(&mut self.letters);
        self.record(letters).await?;
        self.keep_units().await
    }

    /// Entries of an admission state that lost its sale but not its outbox, or was rolled back.
    async fn take_outbox(&mut self, product: &ProductId) -> Result<(), RecoveryError> {
        let admission = self.recorder.stores.admission.clone();
        let mut after = EntryId::FIRST;
        loop {
            let page = admission.outbox(product, after, EntryId::LAST, BATCH_ITEMS_MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            self.record(page).await?;
        }
    }

    /// Winners that the ledger lacks though they left the outbox: it was restored
    /// to an earlier state.
    async fn take_winners(&mut self, product: &ProductId) -> Result<(), RecoveryError> {
        let winners = self.recorder.stores.admission.contents(product).await?.winners;
        if winners.is_empty() {
            return Ok(());
        }
        let rows = self.recorder.stores.ledger.all_recorded(product).await?;
        self.seen.extend(rows.into_iter().map(|row| row.purchase.id));
        let entry = |purchase: Purchase| {
            // Its epoch is not known, and does not matter any more.
            Entry { id: EntryId::end_of(purchase.admitted_at), epoch: 0, purchase }
        };
        let known =
            |winner: &Purchase| self.seen.contains(&winner.id) || self.in_letters.contains(&winner.id);
        let number = winners.iter().filter(|winner| !known(winner)).count();
        self.record(winners.into_iter().map(entry).collect()).await?;
        if number > 0 {
            tracing::warn!(%product, number, "the ledger lacked purchases that admission has: was it restored?");
        }
        Ok(())
    }

    /// Records what was not seen yet.
    async fn record(&mut self, mut entries: Vec<Entry>) -> Result<(), RecoveryError> {
        entries.retain(|entry| self.seen.insert(entry.purchase.id));
        for batch in entries.chunks(BATCH_ITEMS_MAX) {
            let dead = self.recorder.record(batch.iter().collect()).await?;
            self.dead.extend(dead.into_iter().flatten());
        }
        Ok(())
    }

    /// Lets each purchase that can't be recorded keep its unit, if buyer and unit are free and the
    /// unit is within the stock; revokes the others.
    async fn keep_units(mut self) -> Result<Pending, RecoveryError> {
        let sales = self.recorder.stores.ledger.sales().await?;
        let mut pending = Pending::new();
        for Dead { entry: Entry { purchase, .. }, .. } in std::mem::take(&mut self.dead) {
            let sale = sales.iter().find(|sale| sale.product == purchase.product);
            let total_stock = sale.map_or(0, |sale| sale.terms.total_stock);
            let kept = pending.entry(purchase.product.clone()).or_default();
            match self.obstacle(&purchase, total_stock, kept).await? {
                None => kept.push(purchase),
                Some(reason) => drop(self.recorder.revoke(&purchase, &reason).await?),
            }
        }
        for (product, kept) in &mut pending {
            kept.sort_by_key(|purchase| purchase.unit);
            if !kept.is_empty() {
                let number = kept.len();
                tracing::warn!(%product, number, "dead-lettered purchases stay pending, and keep their units");
            }
        }
        Ok(pending)
    }

    /// Why a purchase can't keep its unit, for its buyer.
    async fn obstacle(
        &self,
        purchase: &Purchase,
        total_stock: u32,
        kept: &[Purchase],
    ) -> Result<Option<String>, RecoveryError> {
        let ledger = &self.recorder.stores.ledger;
        let of_user = kept.iter().find(|kept| kept.user == purchase.user);
        let recorded = ledger.purchase_of(&purchase.product, &purchase.user).await?;
        if let Some(stands) = recorded.as_ref().or(of_user) {
            return Ok(Some(has_other(stands)));
        }
        let is_taken = kept.iter().any(|kept| kept.unit == purchase.unit)
            || ledger.unit_is_held(&purchase.product, purchase.unit).await?;
        Ok((is_taken || purchase.unit > total_stock).then(|| NO_UNIT_LEFT.to_owned()))
    }
}

/// The purchases of the stopped products in all dead letters, each once. The later epoch comes
/// first: it knew what the earlier ones had given away.
async fn read_letters(
    held: &mut dyn DeadLetters,
    rebuilding: &Rebuilding,
) -> Result<Vec<Entry>, BrokerError> {
    let (mut letters, mut found) = (Vec::new(), HashSet::new());
    while let Some(letter) = held.next().await? {
        let of_these = |entry: &Entry| rebuilding.is_stopped(&entry.purchase.product);
        let new = letter.entries.into_iter().filter(of_these);
        letters.extend(new.filter(|entry| found.insert((entry.purchase.id, entry.epoch))));
    }
    letters.sort_by_key(|entry| Reverse(entry.epoch));
    Ok(letters)
}

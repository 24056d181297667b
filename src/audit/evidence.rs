//! What the stores hold of one product, read after all purchases were recorded.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::{Entry, Purchase, PurchaseId, SaleState, Terms, UsedRight};

#[derive(Clone, Debug)]
pub struct Evidence {
    /// As the ledger has them.
    pub terms: Terms,
    /// A lower total stock that an operator asks for, and that admission has not agreed to yet.
    pub lower_stock_to: Option<u32>,
    /// The purchases in the ledger that count.
    pub rows: Vec<Purchase>,
    /// The purchases in the ledger that were cancelled.
    pub cancelled: Vec<CancelledRow>,
    /// Users who were imported and have no row.
    pub earlier: Vec<Purchase>,
    /// When the transaction of each row began, by the database's clock.
    pub confirmed_at: HashMap<PurchaseId, DateTime<Utc>>,
    /// The rows from before the history began, which no attempt in it explains.
    pub before: HashSet<PurchaseId>,
    /// The user of each revoked purchase.
    pub revocations: HashMap<String, String>,
    /// `None`: admission can't be read from here.
    pub admission: Option<AdmissionState>,
    /// Messages in the queue of purchases; `None`: the broker can't be read from here.
    pub queued: Option<u32>,
    /// The purchases in the dead-letter queue.
    pub dead: Vec<Purchase>,
}

/// A row that was cancelled, with the unit that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledRow {
    pub purchase: Purchase,
    pub keeps_unit: bool,
    pub may_buy_again: bool,
}

/// Where the purchase of a dead letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetterPlace {
    /// In the ledger, also as a cancelled row, on its way there, or revoked: the letter is a
    /// copy, for an operator.
    Elsewhere,
    /// In the dead-letter queue alone, and admission keeps its unit.
    Here,
    /// In the dead-letter queue alone, and its unit may be sold to someone else.
    Nowhere,
}

impl Evidence {
    /// The terms that admission is to sell by.
    pub(super) fn decided(&self) -> Terms {
        let total_stock = self.lower_stock_to.unwrap_or(self.terms.total_stock);
        Terms { total_stock, ..self.terms.clone() }
    }

    /// Cancelled rows of which admission still has the winner: the change is not carried over yet.
    pub(super) fn not_carried_over(&self) -> impl Iterator<Item = &CancelledRow> {
        let winners = self.admission.as_ref().map(|state| &state.winners[..]).unwrap_or_default();
        let winners: HashSet<_> = winners.iter().map(|winner| winner.id).collect();
        self.cancelled.iter().filter(move |row| winners.contains(&row.purchase.id))
    }

    /// Each dead-lettered purchase. Nothing, where admission can't be read.
    pub(super) fn letters(&self) -> impl Iterator<Item = (&Purchase, LetterPlace)> {
        let cancelled = self.cancelled.iter().map(|row| row.purchase.id);
        let recorded: HashSet<_> = self.rows.iter().map(|row| row.id).chain(cancelled).collect();
        let admission = self.admission.as_ref();
        let of_admission = |purchases: fn(&AdmissionState) -> HashSet<PurchaseId>| {
            admission.map(purchases).unwrap_or_default()
        };
        let in_flight = of_admission(|state| state.outbox.iter().map(|entry| entry.purchase.id).collect());
        let admitted = of_admission(|state| state.winners.iter().map(|winner| winner.id).collect());
        let place = move |letter: &Purchase| {
            let is_revoked = self.revocations.contains_key(&letter.id.to_string());
            if is_revoked || recorded.contains(&letter.id) || in_flight.contains(&letter.id) {
                LetterPlace::Elsewhere
            } else if admitted.contains(&letter.id) {
                LetterPlace::Here
            } else {
                LetterPlace::Nowhere
            }
        };
        let letters = if admission.is_some() { &self.dead[..] } else { &[] };
        letters.iter().map(move |letter| (letter, place(letter)))
    }
}

/// Everything that admission holds of a product.
#[derive(Clone, Debug)]
pub struct AdmissionState {
    pub sale: SaleState,
    pub winners: Vec<Purchase>,
    /// Who may not buy, and has no purchase that counts.
    pub used: Vec<UsedRight>,
    /// Units that were returned.
    pub free: Vec<u32>,
    /// No unit was taken or returned while this was read.
    pub at_rest: bool,
    pub outbox: Vec<Entry>,
}

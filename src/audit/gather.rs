//! Reads what the stores hold of one product.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    AdmissionState, CancelledRow, Evidence, Sources,
    sources::{GatherError, PAGE},
};
use crate::admission::{Admission, AdmissionError, Contents};
use crate::domain::{Cancellation, Entry, EntryId, ProductId, Purchase, PurchaseId, RecordedPurchase};
use crate::ledger::{LedgerError, LedgerSale};

impl Sources {
    /// Reads all stores in the order in which purchases move (winners, outbox, queues,
    /// rows), so that a purchase that moves during the read is seen at least once.
    /// `confirmed_at` stays empty.
    pub async fn gather(&self, product: &ProductId) -> Result<Evidence, GatherError> {
        let admission = match &self.admission {
            Some(admission) => Some(read_admission(&**admission, product).await?),
            None => None,
        };
        let queued = self.queued().await?;
        let dead = self.dead(product).await?;
        let LedgerSale { terms, lower_stock_to, .. } = self.sale(product).await?;
        let (mut rows, mut cancelled) = (Vec::new(), Vec::new());
        for RecordedPurchase { purchase, cancelled: how, .. } in self.ledger.all_recorded(product).await? {
            match how {
                None => rows.push(purchase),
                Some((_, Cancellation { keeps_unit, may_buy_again, .. })) => {
                    cancelled.push(CancelledRow { purchase, keeps_unit, may_buy_again });
                }
            }
        }
        let earlier = self.earlier_buyers(product).await?;
        let revocations = self.ledger.revocations(product).await?;
        let revocations =
            revocations.into_iter().map(|(id, user)| (id.to_string(), user.to_string())).collect();
        let (confirmed_at, before) = (HashMap::new(), HashSet::new());
        Ok(Evidence {
            terms,
            lower_stock_to,
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

    async fn earlier_buyers(&self, product: &ProductId) -> Result<Vec<Purchase>, LedgerError> {
        let mut all: Vec<Purchase> = Vec::new();
        loop {
            let after = all.last().map(|last| &last.user);
            let page = self.ledger.earlier_buyers(product, after, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// When each row's transaction began.
    pub async fn confirmed_at(
        &self,
        product: &ProductId,
    ) -> Result<HashMap<PurchaseId, DateTime<Utc>>, GatherError> {
        let (mut times, mut last) = (HashMap::new(), 0);
        loop {
            let page = self.ledger.confirmations(product, last, PAGE).await?;
            let Some(highest) = page.last() else { return Ok(times) };
            last = highest.unit;
            times.extend(page.into_iter().map(|confirmation| (confirmation.id, confirmation.at)));
        }
    }
}

async fn read_admission(
    admission: &dyn Admission,
    product: &ProductId,
) -> Result<AdmissionState, AdmissionError> {
    let before = admission.sale(product).await?;
    let contents = admission.contents(product).await?;
    let mut outbox = Vec::new();
    loop {
        let after = outbox.last().map_or(EntryId::FIRST, |entry: &Entry| entry.id);
        let page = admission.outbox(product, after, EntryId::LAST, PAGE as usize).await?;
        if page.is_empty() {
            break;
        }
        outbox.extend(page);
    }
    let sale = admission.sale(product).await?;
    let at_rest = (before.next, before.remaining) == (sale.next, sale.remaining);
    let Contents { winners, used, free } = contents;
    Ok(AdmissionState { sale, winners, used, free, at_rest, outbox })
}

//! A simulated ledger: serialisable transactions with the real constraints, lost replies, outages, late locks.

mod database;
mod leadership;
mod operator;
mod tables;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use flashsale::{
    domain::{
        AdmissionChange, Cancellation, Entry, LedgerCounts, LedgerVerdict, Offers, Product, ProductId,
        Purchase, PurchaseId, PurchaseState, RecordedPurchase, Revocation, SystemId, Terms, UserId,
    },
    ledger::{
        Cancelled, Confirmation, Discard, Erased, Imported, Leadership, Ledger, LedgerError, LedgerSale,
        RaisedEpoch, System, Writer,
    },
};
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) use database::{Database, Reach};
pub(crate) use tables::Tables;

use self::{leadership::SimLeadership, tables::RevocationRow, transaction::Transaction};
use crate::{executor::Pid, sim::Sim};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The ledger as one process reaches it.
#[derive(Clone, Debug)]
pub(crate) struct SimLedger {
    sim: Sim,
    database: Database,
    pid: Pid,
}

fn unavailable(why: &'static str) -> LedgerError {
    LedgerError::Unavailable(why.into())
}

/// One id for all runs: the simulator has one system.
fn new_system(prefix: &str) -> System {
    System { id: SystemId(Uuid::from_u128(1)), prefix: prefix.to_owned() }
}

fn name_of(verdict: &LedgerVerdict) -> String {
    let shown = format!("{verdict:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_owned()
}

impl SimLedger {
    pub(crate) fn new(sim: &Sim, database: &Database, pid: Pid) -> Self {
        Self { sim: sim.clone(), database: database.clone(), pid }
    }

    /// A request on its way to the server.
    async fn arrive(&self) -> Result<(), LedgerError> {
        self.sim.latency().await;
        let reach = self.database.lock().reach;
        match reach {
            Reach::Up => Ok(()),
            Reach::Down => Err(unavailable("connection refused")),
            Reach::Silent => {
                sleep(CONNECT_TIMEOUT).await;
                Err(unavailable("time-out"))
            }
        }
    }

    /// A reply on its way back.
    async fn reply(&self) -> Result<(), LedgerError> {
        let (lost, incarnation) = {
            let state = self.database.lock();
            (state.replies_lost, state.incarnation)
        };
        self.sim.latency().await;
        if self.sim.happens(lost) || self.database.lock().incarnation != incarnation {
            self.sim.note(self.pid, "a reply of the database is lost");
            return Err(unavailable("the reply was lost"));
        }
        Ok(())
    }

    /// One transaction.
    async fn run<R>(&self, change: impl FnOnce(&mut Tables) -> R + Send) -> Result<R, LedgerError>
    where
        R: Send,
    {
        self.arrive().await?;
        let result = change(&mut self.database.lock().tables);
        self.reply().await?;
        Ok(result)
    }
}

#[async_trait]
impl Ledger for SimLedger {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn migrate(&self) -> Result<usize, LedgerError> {
        self.run(|_| 0).await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.run(|_| ()).await
    }

    async fn system(&self, prefix: &str) -> Result<System, LedgerError> {
        self.run(|tables| tables.system.get_or_insert_with(|| new_system(prefix)).clone()).await
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        self.run(|tables| {
            if let Some(system) = &mut tables.system {
                prefix.clone_into(&mut system.prefix);
            }
        })
        .await
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        self.run(|_| ()).await
    }

    async fn add_products(&self, products: &[Product]) -> Result<(), LedgerError> {
        self.run(|tables| tables.add(products)).await
    }

    async fn products(&self) -> Result<Vec<Product>, LedgerError> {
        self.run(|tables| tables.decided()).await
    }

    async fn offers(&self) -> Result<Offers, LedgerError> {
        self.run(|tables| tables.offers()).await
    }

    async fn change_products(&self, seen: &[Product], wanted: &[Product]) -> Result<(), LedgerError> {
        self.run(|tables| tables.change(seen, wanted)).await?
    }

    async fn set_paused(&self, product: &ProductId, paused: bool) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let row = tables.products.get_mut(product);
            row.map(|row| row.terms = Terms { paused, ..row.terms.clone() }).is_some()
        })
        .await
    }

    async fn sales(&self) -> Result<Vec<LedgerSale>, LedgerError> {
        self.run(|tables| tables.sales()).await
    }

    async fn settle_stock(&self, product: &ProductId, wanted: u32, lower: bool) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let highest = tables.highest_unit(product);
            let Some(row) = tables.products.get_mut(product) else { return false };
            if row.lower_stock_to != Some(wanted) {
                return false;
            }
            row.lower_stock_to = None;
            let lowered = lower && highest <= wanted;
            if lowered {
                row.terms.total_stock = wanted;
            }
            lowered
        })
        .await
    }

    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.arrive().await?;
        let transaction = Transaction::begin(self, entries, writer)?;
        let most = self.database.lock().commits_take;
        let millis = u64::try_from(most.as_millis()).expect("short");
        let takes = self.sim.draw(|random| Duration::from_millis(random.u64(0..=millis)));
        sleep(takes).await;
        let verdicts = transaction.commit()?;
        self.reply().await?;
        Ok(verdicts)
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let revoked = self
            .run(|tables| {
                if tables.recorded_purchase(purchase.id).is_some() || tables.is_revoked(purchase.id) {
                    return false;
                }
                let Purchase { id, product, user, .. } = purchase.clone();
                tables.revocations.push(RevocationRow { id, product, user, reason: reason.to_owned() });
                true
            })
            .await?;
        let Purchase { user, unit, .. } = purchase;
        self.sim.note(self.pid, format_args!("revoke {user} unit {unit}: {revoked}, {reason}"));
        Ok(revoked)
    }

    async fn cancel(
        &self,
        id: PurchaseId,
        cancellation: &Cancellation,
    ) -> Result<Option<Cancelled>, LedgerError> {
        let now = self.sim.now();
        self.run(|tables| tables.cancel(id, cancellation, now)).await
    }

    async fn import(
        &self,
        product: &ProductId,
        earlier: &[Purchase],
        _by: &str,
    ) -> Result<Imported, LedgerError> {
        self.run(|tables| tables.import(product, earlier)).await
    }

    async fn earlier_buyers(
        &self,
        product: &ProductId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.earlier_buyers(product, after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn erase(&self, user: &UserId, pseudonym: &UserId) -> Result<Erased, LedgerError> {
        self.run(|tables| tables.erase(user, pseudonym)).await
    }

    async fn changes(&self, after: u64, limit: u32) -> Result<Vec<AdmissionChange>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.changes(after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn complete_changes(&self, changes: &[AdmissionChange]) -> Result<(), LedgerError> {
        self.run(|tables| tables.complete(changes)).await?;
        self.sim.note(self.pid, format_args!("carried over: {changes:?}"));
        Ok(())
    }

    async fn change_is_due(&self, number: u64) -> Result<bool, LedgerError> {
        self.run(|tables| tables.changes.contains_key(&number)).await
    }

    async fn recorded(
        &self,
        product: &ProductId,
        after: (u32, PurchaseId),
        limit: u32,
    ) -> Result<Vec<RecordedPurchase>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.recorded(product, after);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn unit_is_held(&self, product: &ProductId, unit: u32) -> Result<bool, LedgerError> {
        self.run(|tables| tables.unit_is_held(product, unit)).await
    }

    async fn purchase(&self, id: PurchaseId) -> Result<Option<RecordedPurchase>, LedgerError> {
        self.run(|tables| tables.recorded_purchase(id)).await
    }

    async fn purchases_among(&self, ids: &[PurchaseId]) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| {
            let rows = ids.iter().filter_map(|id| tables.recorded_purchase(*id));
            rows.filter(|row| row.cancelled.is_none()).map(|row| row.purchase).collect()
        })
        .await
    }

    async fn purchase_of(&self, product: &ProductId, user: &UserId) -> Result<Option<Purchase>, LedgerError> {
        self.run(|tables| tables.purchase_of(product, user).cloned()).await
    }

    async fn revocation_of(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Option<Revocation>, LedgerError> {
        self.run(|tables| {
            let rows = tables.revocations.iter().rev();
            let mut latest = rows.filter(|row| (&row.product, &row.user) == (product, user));
            let revoked = latest.next().map(|row| Revocation {
                id: row.id,
                reason: row.reason.clone(),
                state: PurchaseState::Revoked,
            });
            let cancelled = tables
                .cancelled()
                .filter(|row| (&row.purchase.product, &row.purchase.user) == (product, user));
            let latest = cancelled.max_by_key(|row| row.cancelled.as_ref().map(|(at, _)| *at));
            let cancelled = latest.map(|row| Revocation {
                id: row.purchase.id,
                reason: row.cancelled.as_ref().map(|(_, how)| how.reason.clone()).unwrap_or_default(),
                state: PurchaseState::Cancelled,
            });
            // Which of both is later does not matter to the oracles.
            cancelled.or(revoked)
        })
        .await
    }

    async fn revocations(&self, product: &ProductId) -> Result<Vec<(PurchaseId, UserId)>, LedgerError> {
        self.run(|tables| {
            let rows = tables.revocations.iter().filter(|row| row.product == *product);
            rows.map(|row| (row.id, row.user.clone())).collect()
        })
        .await
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        self.run(|tables| tables.discards.push(discard)).await
    }

    async fn purchases(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Purchase>, LedgerError> {
        self.run(|tables| tables.rows(product, after_unit).take(limit as usize).cloned().collect()).await
    }

    async fn confirmations(
        &self,
        product: &ProductId,
        after_unit: u32,
        limit: u32,
    ) -> Result<Vec<Confirmation>, LedgerError> {
        self.run(|tables| {
            let mut page = tables.confirmations(product, after_unit);
            page.truncate(limit as usize);
            page
        })
        .await
    }

    async fn counts(&self, product: &ProductId) -> Result<LedgerCounts, LedgerError> {
        self.run(|tables| tables.counts(product)).await
    }

    async fn raise_epoch(&self, product: &ProductId, found: u64) -> Result<RaisedEpoch, LedgerError> {
        let raised = self
            .run(|tables| {
                let row = tables.products.get_mut(product)?;
                row.epoch = row.epoch.max(found) + 1;
                Some(RaisedEpoch { epoch: row.epoch, opened_epoch: row.opened_epoch })
            })
            .await?;
        let raised = raised.ok_or_else(|| LedgerError::UnknownProduct(product.clone()))?;
        self.sim.note(self.pid, format_args!("raise epoch to {}", raised.epoch));
        Ok(raised)
    }

    async fn note_opening(&self, product: &ProductId, epoch: u64) -> Result<bool, LedgerError> {
        self.run(|tables| {
            let row = tables.products.get_mut(product).filter(|row| row.epoch == epoch);
            row.map(|row| row.opened_epoch = epoch).is_some()
        })
        .await
    }

    async fn workers_may_run(&self) -> Result<bool, LedgerError> {
        self.arrive().await?;
        let may_run = self.database.lock().locks.workers_may_run();
        self.reply().await?;
        Ok(may_run)
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, LedgerError> {
        self.arrive().await?;
        let elected = SimLeadership::elect(self);
        self.reply().await?;
        Ok(elected.map(|leader| Box::new(leader) as Box<dyn Leadership>))
    }
}

//! Admission in Redis. Each operation is one script; the file of the same name states its contract.

use std::sync::Arc;

use async_trait::async_trait;
use redis::{FromRedisValue, ScriptInvocation, streams::StreamRangeReply};
use tokio::sync::watch;

mod connections;
mod error;
mod fitness;
mod keys;
mod link;
mod options;
mod replies;
mod scripts;
mod server_connections;

pub use connections::{Connections, Connector, InUse};
pub use keys::Keys;
pub use link::Link;
pub use options::RedisOptions;
use replies::Reply;
pub use scripts::{Scripts, scripts};
use server_connections::ServerConnector;

use super::{
    Admission, AdmissionError, Contents, Decision, Fence, Found, Horizon, Opening, Reassignment, RebuildStep,
    SnapshotTotals, StagedPart, Watermark, WithdrawnUnit, watermarks::Watermarks,
};
use crate::domain::{
    Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, SystemId, Terms, UsedRight, UserId,
};
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// Admission in Redis; clones share its connections.
#[derive(Clone)]
pub struct RedisAdmission<C = Link<ServerConnector>> {
    connections: C,
    shared: Arc<Shared>,
}

struct Shared {
    prefix: String,
    scripts: Scripts,
    watermarks: Watermarks,
    /// `None`: the ledger, which has it, was not reached yet.
    system: watch::Receiver<Option<SystemId>>,
}

impl RedisAdmission {
    /// Starts connecting in the background; until then every operation is
    /// [`AdmissionError::Unavailable`].
    pub fn start(
        options: &RedisOptions,
        scripts: Scripts,
        system: watch::Receiver<Option<SystemId>>,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Result<Self, redis::RedisError> {
        let connector = ServerConnector::new(options)?;
        let link = Link::start(connector, options.connections, &options.prefix, dependency, runtime);
        Ok(Self::of_system(link, &options.prefix, scripts, system))
    }
}

impl<C: Connections> RedisAdmission<C> {
    /// Of no system: nothing is compared.
    pub fn new(connections: C, prefix: &str, scripts: Scripts) -> Self {
        Self::of_system(connections, prefix, scripts, watch::channel(None).1)
    }

    pub fn of_system(
        connections: C,
        prefix: &str,
        scripts: Scripts,
        system: watch::Receiver<Option<SystemId>>,
    ) -> Self {
        let (prefix, watermarks) = (prefix.to_owned(), Watermarks::default());
        Self { connections, shared: Arc::new(Shared { prefix, scripts, watermarks, system }) }
    }

    /// The last argument of every script.
    fn system(&self) -> String {
        let known = *self.shared.system.borrow();
        known.map(|SystemId(id)| id.simple().to_string()).unwrap_or_default()
    }

    fn scripts(&self) -> &Scripts {
        &self.shared.scripts
    }

    fn keys(&self, product: &ProductId) -> Keys {
        Keys::new(&self.shared.prefix, product)
    }

    /// A call of a script, without arguments yet.
    fn call<'script>(
        &self,
        script: &'script redis::Script,
        product: &ProductId,
    ) -> ScriptInvocation<'script> {
        let mut call = script.prepare_invoke();
        for key in self.keys(product).in_order() {
            call.key(key);
        }
        call
    }

    /// A call of a script of a rebuild, which takes the staged keys too.
    fn staging_call<'script>(
        &self,
        script: &'script redis::Script,
        product: &ProductId,
        epoch: u64,
    ) -> ScriptInvocation<'script> {
        let mut call = self.call(script, product);
        for key in self.keys(product).staged(epoch) {
            call.key(key);
        }
        call
    }

    /// Runs a script whose last arguments are what the caller knows: the identity of the server,
    /// and how far the sale was seen.
    async fn run_known(
        &self,
        product: &ProductId,
        mut call: ScriptInvocation<'_>,
    ) -> Result<Reply, AdmissionError> {
        let horizon = self.shared.watermarks.of(product);
        let Watermark { epoch, unit } = horizon.watermark();
        let mut link = self.connections.get()?;
        call.arg(&*link.server).arg(epoch).arg(unit).arg(self.system());
        let reply = call.invoke_async(&mut link.connection).await;
        let reply = reply.map_err(|error| self.connections.failed(&link, error))?;
        match replies::rolled_back(&reply)? {
            None => Ok(reply),
            Some(state) => {
                if horizon.has_left(state) {
                    self.distrust(product, horizon.seen, link).await;
                }
                Err(AdmissionError::NotReady)
            }
        }
    }

    /// Ends the use of a state for every process, and this process' use of the server that has it:
    /// where a server lives on after a failover, the address leads to another one by now.
    async fn distrust(&self, product: &ProductId, seen: Watermark, mut link: InUse<C::Connection>) {
        let mut call = self.call(&self.scripts().distrust, product);
        call.arg(seen.epoch).arg(seen.unit).arg(self.system());
        if let Err(error) = call.invoke_async::<()>(&mut link.connection).await {
            tracing::debug!(%product, %error, "a state that was rolled back is not marked");
        }
        self.connections.replace(&link);
    }

    async fn run<T: FromRedisValue>(&self, mut call: ScriptInvocation<'_>) -> Result<T, AdmissionError> {
        let mut link = self.connections.get()?;
        call.arg(self.system());
        let reply = call.invoke_async(&mut link.connection).await;
        reply.map_err(|error| self.connections.failed(&link, error))
    }

    async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, AdmissionError> {
        let mut link = self.connections.get()?;
        let reply = command.query_async(&mut link.connection).await;
        reply.map_err(|error| self.connections.failed(&link, error))
    }

    async fn remove_from_outbox(&self, entries: &[Entry], dead: bool) -> Result<(), AdmissionError> {
        /// A script blocks all other commands while it runs.
        const ENTRIES_MAX: usize = 1000;
        for entries in entries.chunks(ENTRIES_MAX) {
            let Some(first) = entries.first() else { return Ok(()) };
            let mut call = self.call(&self.scripts().settle, &first.purchase.product);
            call.arg(first.epoch).arg(u8::from(dead));
            for entry in entries {
                call.arg(entry.id.to_string()).arg(entry.purchase.id.to_string());
            }
            self.run::<()>(call).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl<C: Connections> Admission for RedisAdmission<C> {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let mut call = self.call(&self.scripts().admit, product);
        call.arg(user.as_str()).arg(id.to_string());
        let decision = replies::decision(&self.run_known(product, call).await?, product, user)?;
        self.shared.watermarks.note_decision(product, &decision);
        Ok(decision)
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let call = self.call(&self.scripts().sale, product);
        let state = replies::sale(&self.run_known(product, call).await?)?;
        self.shared.watermarks.saw(product, Watermark::of(&state));
        Ok(state)
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        let mut call = self.call(&self.scripts().find, product);
        call.arg(user.as_str());
        replies::found(&self.run_known(product, call).await?, product, user)
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        let key = self.keys(product).outbox;
        let mut after = after.to_string();
        loop {
            let mut range = redis::cmd("XRANGE");
            range.arg(&key).arg(format!("({after}")).arg(up_to.to_string()).arg("COUNT").arg(limit);
            let reply: StreamRangeReply = self.query(&range).await?;
            let Some(last) = reply.ids.last().map(|entry| entry.id.clone()) else { return Ok(Vec::new()) };
            let entries = replies::outbox(reply, product);
            if !entries.is_empty() {
                return Ok(entries);
            }
            after = last;
        }
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        let keys = self.keys(product);
        let free: Vec<String> = self.query(redis::cmd("LRANGE").arg(keys.free).arg(0).arg(-1)).await?;
        let mut read = replies::Winners::of(product, &free);
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.buyers).arg(cursor).arg("COUNT").arg(1000);
            let (next, page): (u64, Vec<(String, String)>) = self.query(&scan).await?;
            read.add(page);
            cursor = next;
            if cursor == 0 {
                return Ok(read.contents());
            }
        }
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.remove_from_outbox(entries, false).await
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.remove_from_outbox(entries, true).await
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().withdraw, &withdrawn.product);
        call.arg(withdrawn.user.as_str()).arg(withdrawn.id.to_string());
        call.arg(stands.map(record).unwrap_or_default()).arg(u8::from(unit == WithdrawnUnit::Returns));
        self.run_known(&withdrawn.product, call).await.map(drop)
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        let mut call = self.call(&self.scripts().reassign, &purchase.product);
        call.arg(purchase.user.as_str()).arg(purchase.id.to_string()).arg(purchase.unit);
        call.arg(u8::from(!may_keep));
        let reply = self.run_known(&purchase.product, call).await?;
        replies::reassignment(&reply, &purchase.product, &purchase.user)
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().adopt, &owner.product);
        call.arg(owner.user.as_str()).arg(record(owner));
        self.run(call).await
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().republish, &purchase.product);
        call.arg(purchase.user.as_str()).arg(purchase.id.to_string());
        self.run(call).await
    }

    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().cancel, &cancelled.product);
        call.arg(cancelled.user.as_str()).arg(cancelled.id.to_string());
        call.arg(u8::from(keeps_unit)).arg(u8::from(may_buy_again));
        replies::is_done(&self.run_known(&cancelled.product, call).await?)
    }

    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError> {
        let Some(first) = earlier.first() else { return Ok(()) };
        let mut call = self.call(&self.scripts().bar, &first.product);
        for purchase in earlier {
            call.arg(purchase.user.as_str()).arg(record(purchase));
        }
        replies::is_done(&self.run_known(&first.product, call).await?).map(|_done| ())
    }

    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().rename, product);
        call.arg(user.as_str()).arg(pseudonym.as_str());
        replies::is_done(&self.run_known(product, call).await?)
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().configure, product);
        call.arg(epoch).arg(terms.total_stock);
        call.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
        self.run(call).await
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        let mut call = self.call(&self.scripts().fence, product);
        call.arg(epoch);
        Ok(match self.run(call).await? {
            0 => Fence::Stopped,
            later => Fence::Later(later),
        })
    }

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().note_step, product);
        call.arg(epoch).arg(step.number());
        self.run(call).await
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        let StagedPart { recorded, dead_lettered, used, free } = part;
        let mut call = self.staging_call(&self.scripts().stage, product, epoch);
        call.arg(free.len()).arg(free).arg(dead_lettered.len());
        for purchase in dead_lettered {
            call.arg(purchase.id.to_string());
        }
        for purchase in recorded.iter().chain(dead_lettered) {
            call.arg(purchase.user.as_str()).arg(record(purchase));
        }
        for UsedRight { purchase, is_cancelled } in used {
            let mark = if *is_cancelled { " C" } else { "" };
            call.arg(purchase.user.as_str()).arg(record(purchase) + mark);
        }
        self.run(call).await
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        let staged = self.keys(product).staged(epoch);
        self.query(redis::cmd("UNLINK").arg(&staged[..])).await
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        let mut call = self.staging_call(&self.scripts().open, product, epoch);
        let SnapshotTotals { next, balance, revoked } = totals;
        call.arg(epoch).arg(terms.total_stock).arg(next);
        call.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
        call.arg(u8::from(revoked)).arg(balance);
        match self.run::<String>(call).await?.as_str() {
            "OPEN" => Ok(Opening::Open),
            "STALE" => Ok(Opening::Stale),
            "INCOMPLETE" => Ok(Opening::Incomplete),
            other => Err(AdmissionError::Malformed(other.into())),
        }
    }

    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.shared.watermarks.of(product).surpassed_epoch()
    }

    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64) {
        let seen = Watermark { epoch: opened, unit: 0 };
        self.shared.watermarks.advance(product, Horizon { seen, raised });
    }

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(Self { connections: self.connections.on_this_thread(), shared: self.shared.clone() })
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

impl<C> std::fmt::Debug for RedisAdmission<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RedisAdmission({})", self.shared.prefix)
    }
}

/// The record in `buyers` of a purchase that has no outbox entry: its entry id is the admission
/// time with a sequence that no stream gives out.
fn record(purchase: &Purchase) -> String {
    format!("{} {} {}", purchase.unit, purchase.id, EntryId::end_of(purchase.admitted_at))
}

fn millis(instant: Option<chrono::DateTime<chrono::Utc>>) -> String {
    instant.map(|instant| instant.timestamp_millis().to_string()).unwrap_or_default()
}

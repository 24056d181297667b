//! The gate in Redis. Each operation is one script; the file of the same name states its contract.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_redis::{Connection, Pool};
use redis::{AsyncConnectionConfig, Client, Script, streams::StreamRangeReply};

mod error;
mod keys;
mod link;
mod replies;

pub use keys::Keys;
use link::Link;

use super::{
    Admission, AdmissionError, Contents, Decision, Fence, Found, Opening, Reassignment, RebuildStep,
    WithdrawnUnit,
};
use crate::config::ServiceUrl;
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId};
use crate::observability::Dependency;
use crate::runtime::Runtime;

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port[/db]`
    pub url: ServiceUrl,
    /// First part of every key.
    pub prefix: String,
    /// Shared connections, beside the one that each thread of a server has of its own.
    pub connections: usize,
    /// Most connections for everything else.
    pub pool_size: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer.
    pub response_timeout: Duration,
}

/// The gate in Redis; clones share its connections.
#[derive(Clone)]
pub struct RedisAdmission {
    /// For attempts and look-ups: no check-out.
    link: Link,
    shared: Arc<Shared>,
}

struct Shared {
    prefix: String,
    /// For everything that is not hot.
    pool: Pool,
    scripts: Scripts,
}

struct Scripts {
    admit: Script,
    sale: Script,
    find: Script,
    settle: Script,
    withdraw: Script,
    reassign: Script,
    adopt: Script,
    resend: Script,
    configure: Script,
    fence: Script,
    progress: Script,
    stage: Script,
    open: Script,
}

impl RedisAdmission {
    /// Starts connecting in the background; until then every operation is [`AdmissionError::Unavailable`].
    pub fn start(
        options: &RedisOptions,
        dependency: &Dependency,
        runtime: &Runtime,
    ) -> Result<Self, redis::RedisError> {
        let client = Client::open(options.url.expose())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let link =
            Link::start(client, options.connections, config.clone(), dependency.clone(), runtime.clone());
        let manager = deadpool_redis::Manager::new_with_config(options.url.expose(), config)?;
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.response_timeout))
            .build()
            .map_err(|_no_runtime| {
                redis::RedisError::from((redis::ErrorKind::InvalidClientConfig, "pool"))
            })?;
        let scripts = Scripts {
            admit: Script::new(include_str!("scripts/admit.lua")),
            sale: Script::new(include_str!("scripts/sale.lua")),
            find: Script::new(include_str!("scripts/find.lua")),
            settle: Script::new(include_str!("scripts/settle.lua")),
            withdraw: Script::new(include_str!("scripts/withdraw.lua")),
            reassign: Script::new(include_str!("scripts/reassign.lua")),
            adopt: Script::new(include_str!("scripts/adopt.lua")),
            resend: Script::new(include_str!("scripts/resend.lua")),
            configure: Script::new(include_str!("scripts/configure.lua")),
            fence: Script::new(include_str!("scripts/fence.lua")),
            progress: Script::new(include_str!("scripts/progress.lua")),
            stage: Script::new(include_str!("scripts/stage.lua")),
            open: Script::new(include_str!("scripts/open.lua")),
        };
        let shared = Arc::new(Shared { prefix: options.prefix.clone(), pool, scripts });
        Ok(Self { link, shared })
    }

    fn keys(&self, product: &ProductId) -> Keys {
        self.keys_of(product, 0)
    }

    fn keys_of(&self, product: &ProductId, epoch: u64) -> Keys {
        Keys::new(&self.shared.prefix, product, epoch)
    }

    async fn pooled(&self) -> Result<Connection, AdmissionError> {
        Ok(self.shared.pool.get().await?)
    }

    async fn forget(&self, entries: &[Entry], dead: bool) -> Result<(), AdmissionError> {
        /// A script holds up everything else.
        const ENTRIES_MAX: usize = 1000;
        let Some(first) = entries.first() else { return Ok(()) };
        let keys = self.keys(&first.purchase.product);
        let mut connection = self.pooled().await?;
        for entries in entries.chunks(ENTRIES_MAX) {
            let mut script = self.shared.scripts.settle.prepare_invoke();
            script.key(&keys.sale).key(&keys.outbox).key(&keys.dead).arg(first.epoch).arg(u8::from(dead));
            for entry in entries {
                script.arg(entry.id.to_string()).arg(entry.purchase.id.to_string());
            }
            script.invoke_async::<()>(&mut connection).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Admission for RedisAdmission {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.admit.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(user.as_str()).arg(id.to_string()).arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        match replies::admission(&reply.map_err(|error| in_use.failed(error))?, product, user)? {
            // The driver ran the script twice, or an earlier answer to this same request was lost.
            Decision::Already(entry, _) if entry.purchase.id == id => Ok(Decision::Won(entry)),
            admission => Ok(admission),
        }
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.sale.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.outbox).key(&keys.buyers).key(&keys.dead);
        script.arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        replies::sale(&reply.map_err(|error| in_use.failed(error))?)
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.find.prepare_invoke();
        script.key(&keys.sale).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(user.as_str()).arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        replies::found(&reply.map_err(|error| in_use.failed(error))?, product, user)
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        let key = self.keys(product).outbox;
        let mut connection = self.pooled().await?;
        let mut after = after.to_string();
        loop {
            let mut range = redis::cmd("XRANGE");
            range.arg(&key).arg(format!("({after}")).arg(up_to.to_string()).arg("COUNT").arg(limit);
            let reply: StreamRangeReply = range.query_async(&mut connection).await?;
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
        let mut connection = self.pooled().await?;
        let free = redis::cmd("LRANGE").arg(keys.free).arg(0).arg(-1).query_async(&mut connection).await?;
        let mut contents = Contents { free, winners: Vec::new() };
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.buyers).arg(cursor).arg("COUNT").arg(1000);
            let (next, page): (u64, Vec<(String, String)>) = scan.query_async(&mut connection).await?;
            for (user, value) in page {
                contents.winners.push(replies::winner(product, &user, &value)?);
            }
            cursor = next;
            if cursor == 0 {
                // A scan may show a field twice.
                contents.winners.sort_by_key(|winner| (winner.unit, winner.id));
                contents.winners.dedup();
                return Ok(contents);
            }
        }
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.forget(entries, false).await
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.forget(entries, true).await
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        let keys = self.keys(&withdrawn.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.withdraw.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(withdrawn.user.as_str()).arg(withdrawn.id.to_string());
        script.arg(stands.map(winner).unwrap_or_default()).arg(u8::from(unit == WithdrawnUnit::Returns));
        Ok(script.invoke_async(&mut connection).await?)
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        let keys = self.keys(&purchase.product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.reassign.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox);
        script.arg(purchase.user.as_str()).arg(purchase.id.to_string()).arg(purchase.unit);
        script.arg(u8::from(!may_keep)).arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        let reply = reply.map_err(|error| in_use.failed(error))?;
        replies::reassignment(&reply, &purchase.product, &purchase.user)
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        let keys = self.keys(&owner.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.adopt.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers);
        Ok(script.arg(owner.user.as_str()).arg(winner(owner)).invoke_async(&mut connection).await?)
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        let keys = self.keys(&purchase.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.resend.prepare_invoke();
        script.key(&keys.sale).key(&keys.buyers).key(&keys.outbox);
        script.arg(purchase.user.as_str()).arg(purchase.id.to_string());
        Ok(script.invoke_async(&mut connection).await?)
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.configure.prepare_invoke();
        script.key(self.keys(product).sale).arg(epoch).arg(terms.total_stock);
        script.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
        Ok(script.invoke_async(&mut connection).await?)
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        let keys = self.keys(product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.fence.prepare_invoke();
        script.key(keys.sale).key(keys.outbox).key(keys.dead).arg(epoch);
        Ok(match script.invoke_async(&mut connection).await? {
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
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.progress.prepare_invoke();
        script.key(self.keys(product).sale).arg(epoch).arg(step.number());
        Ok(script.invoke_async(&mut connection).await?)
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        let keys = self.keys_of(product, epoch);
        let mut connection = self.pooled().await?;
        let mut unlink = redis::cmd("UNLINK");
        Ok(unlink.arg(keys.staged_free).arg(keys.staged_buyers).query_async(&mut connection).await?)
    }

    async fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), AdmissionError> {
        let keys = self.keys_of(product, epoch);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.stage.prepare_invoke();
        script.key(&keys.staged_free).key(&keys.staged_buyers).arg(free.len()).arg(free);
        for purchase in purchases {
            script.arg(purchase.user.as_str()).arg(winner(purchase));
        }
        Ok(script.invoke_async(&mut connection).await?)
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, AdmissionError> {
        let keys = self.keys_of(product, epoch);
        let server = self.link.get()?.live.server;
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.open.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox);
        script.key(&keys.staged_free).key(&keys.staged_buyers).key(&keys.dead);
        script.arg(epoch).arg(terms.total_stock).arg(next);
        script.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
        script.arg(&*server).arg(u8::from(revoked));
        let reply: String = script.invoke_async(&mut connection).await?;
        match reply.as_str() {
            "OPEN" => Ok(Opening::Open),
            "STALE" => Ok(Opening::Stale),
            "INCOMPLETE" => Ok(Opening::Incomplete),
            other => Err(AdmissionError::Malformed(other.into())),
        }
    }

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(Self { link: self.link.on_this_thread(), shared: self.shared.clone() })
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for RedisAdmission {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RedisAdmission({})", self.shared.prefix)
    }
}

/// A purchase as `buyers` holds it. One that comes from the ledger has no outbox entry: its id is the admission
/// time with a sequence that no stream gives out by itself.
fn winner(purchase: &Purchase) -> String {
    let millis = purchase.admitted_at.timestamp_millis().max(0);
    format!("{} {} {millis}-{}", purchase.unit, purchase.id, u64::MAX)
}

fn millis(instant: Option<chrono::DateTime<chrono::Utc>>) -> String {
    instant.map(|instant| instant.timestamp_millis().to_string()).unwrap_or_default()
}

//! The gate in Redis. Each operation is one script; the file of the same name states its contract.

use std::{sync::Arc, time::Duration};

use deadpool_redis::{Connection, Pool};
use redis::{AsyncConnectionConfig, Client, Script, streams::StreamRangeReply};

mod keys;
mod link;
mod replies;

pub use keys::Keys;
use link::Link;

use super::{
    Admission, Contents, EntryKey, Fence, Found, GateError, Opening, Reassignment, RebuildStep, WithdrawnUnit,
};
use crate::config::ServiceUrl;
use crate::domain::{EntryId, OutboxEntry, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId};
use crate::observability::Dependency;
use crate::runtime::mutants::mutant;

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
pub struct RedisGate {
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

impl RedisGate {
    /// Starts connecting in the background; until then every operation is [`GateError::Unavailable`].
    pub fn start(options: &RedisOptions, dependency: &Dependency) -> Result<Self, redis::RedisError> {
        let client = Client::open(options.url.expose())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let link = Link::start(client, options.connections, config.clone(), dependency.clone());
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
            admit: Script::new(&admit_script()),
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

    /// The same gate, with a connection of its own that is served by the thread (more exactly, the runtime) that calls
    /// this: an attempt from there makes no other thread wake up.
    pub(in crate::admission) fn on_this_thread(&self) -> Self {
        Self { link: self.link.on_this_thread(), shared: self.shared.clone() }
    }

    fn keys(&self, product: &ProductId) -> Keys {
        self.keys_of(product, 0)
    }

    fn keys_of(&self, product: &ProductId, epoch: u64) -> Keys {
        Keys::new(&self.shared.prefix, product, epoch)
    }

    async fn pooled(&self) -> Result<Connection, GateError> {
        Ok(self.shared.pool.get().await?)
    }

    pub(in crate::admission) async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Admission, GateError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        if mutant!("check-then-decrement") {
            return check_then_decrement(&keys, &mut in_use.live.connection, product, user, id).await;
        }
        let mut script = self.shared.scripts.admit.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(user.as_str()).arg(id.to_string()).arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        match replies::admission(&reply.map_err(|error| in_use.failed(error))?, product, user)? {
            // The driver ran the script twice, or an earlier answer to this same request was lost.
            Admission::Already(entry, _) if entry.purchase.id == id => Ok(Admission::Won(entry)),
            admission => Ok(admission),
        }
    }

    pub(in crate::admission) async fn sale(&self, product: &ProductId) -> Result<SaleState, GateError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.sale.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.outbox).key(&keys.buyers).key(&keys.dead);
        script.arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        replies::sale(&reply.map_err(|error| in_use.failed(error))?)
    }

    pub(in crate::admission) async fn find(
        &self,
        product: &ProductId,
        user: &UserId,
    ) -> Result<Found, GateError> {
        let keys = self.keys(product);
        let mut in_use = self.link.get()?;
        let mut script = self.shared.scripts.find.prepare_invoke();
        script.key(&keys.sale).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(user.as_str()).arg(&*in_use.live.server);
        let reply = script.invoke_async(&mut in_use.live.connection).await;
        replies::found(&reply.map_err(|error| in_use.failed(error))?, product, user)
    }

    pub(in crate::admission) async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, GateError> {
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

    pub(in crate::admission) async fn contents(&self, product: &ProductId) -> Result<Contents, GateError> {
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

    pub(in crate::admission) async fn settle(
        &self,
        product: &ProductId,
        epoch: u64,
        entries: &[EntryKey],
        dead: bool,
    ) -> Result<(), GateError> {
        /// A script holds up everything else.
        const ENTRIES_MAX: usize = 1000;
        let keys = self.keys(product);
        let mut connection = self.pooled().await?;
        for entries in entries.chunks(ENTRIES_MAX) {
            let mut script = self.shared.scripts.settle.prepare_invoke();
            script.key(&keys.sale).key(&keys.outbox).key(&keys.dead).arg(epoch).arg(u8::from(dead));
            for entry in entries {
                let id = match entry.sequence {
                    Some(sequence) => EntryId { millis: entry.millis, sequence }.to_string(),
                    None => entry.millis.to_string(),
                };
                script.arg(id).arg(entry.purchase.to_string());
            }
            script.invoke_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    pub(in crate::admission) async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), GateError> {
        let keys = self.keys(&withdrawn.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.withdraw.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers).key(&keys.outbox).key(&keys.dead);
        script.arg(withdrawn.user.as_str()).arg(withdrawn.id.to_string());
        script.arg(stands.map(winner).unwrap_or_default()).arg(u8::from(unit == WithdrawnUnit::Returns));
        Ok(script.invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn reassign(
        &self,
        purchase: &Purchase,
        may_keep: bool,
    ) -> Result<Reassignment, GateError> {
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

    pub(in crate::admission) async fn adopt(&self, owner: &Purchase) -> Result<(), GateError> {
        let keys = self.keys(&owner.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.adopt.prepare_invoke();
        script.key(&keys.sale).key(&keys.free).key(&keys.buyers);
        Ok(script.arg(owner.user.as_str()).arg(winner(owner)).invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn send_again(&self, purchase: &Purchase) -> Result<bool, GateError> {
        let keys = self.keys(&purchase.product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.resend.prepare_invoke();
        script.key(&keys.sale).key(&keys.buyers).key(&keys.outbox);
        script.arg(purchase.user.as_str()).arg(purchase.id.to_string());
        Ok(script.invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, GateError> {
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.configure.prepare_invoke();
        script.key(self.keys(product).sale).arg(epoch).arg(terms.total_stock);
        script.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
        Ok(script.invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn fence(
        &self,
        product: &ProductId,
        epoch: u64,
    ) -> Result<Fence, GateError> {
        let keys = self.keys(product);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.fence.prepare_invoke();
        script.key(keys.sale).key(keys.outbox).key(keys.dead).arg(epoch);
        Ok(match script.invoke_async(&mut connection).await? {
            0 => Fence::Stopped,
            later => Fence::Later(later),
        })
    }

    pub(in crate::admission) async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), GateError> {
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.progress.prepare_invoke();
        script.key(self.keys(product).sale).arg(epoch).arg(step.number());
        Ok(script.invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn unstage(
        &self,
        product: &ProductId,
        epoch: u64,
    ) -> Result<(), GateError> {
        let keys = self.keys_of(product, epoch);
        let mut connection = self.pooled().await?;
        let mut unlink = redis::cmd("UNLINK");
        Ok(unlink.arg(keys.staged_free).arg(keys.staged_buyers).query_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), GateError> {
        let keys = self.keys_of(product, epoch);
        let mut connection = self.pooled().await?;
        let mut script = self.shared.scripts.stage.prepare_invoke();
        script.key(&keys.staged_free).key(&keys.staged_buyers).arg(free.len()).arg(free);
        for purchase in purchases {
            script.arg(purchase.user.as_str()).arg(winner(purchase));
        }
        Ok(script.invoke_async(&mut connection).await?)
    }

    pub(in crate::admission) async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, GateError> {
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
            other => Err(GateError::Malformed(other.to_owned())),
        }
    }
}

impl std::fmt::Debug for RedisGate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RedisGate({})", self.shared.prefix)
    }
}

/// The mistake that scripts are for: between the look and the change others look too.
async fn check_then_decrement(
    keys: &Keys,
    connection: &mut redis::aio::MultiplexedConnection,
    product: &ProductId,
    user: &UserId,
    id: PurchaseId,
) -> Result<Admission, GateError> {
    let mut look = redis::cmd("HMGET");
    let look = look.arg(&keys.sale).arg("next").arg("total").arg("epoch");
    let (next, total, epoch): (u32, u32, u64) = look.query_async(connection).await?;
    if next >= total {
        return Ok(Admission::Refused(crate::domain::Outcome::SoldOut));
    }
    let unit = next + 1;
    let mut add = redis::cmd("XADD");
    add.arg(&keys.outbox).arg("*").arg("user").arg(user.as_str()).arg("unit").arg(unit);
    let entry: String =
        add.arg("id").arg(id.to_string()).arg("epoch").arg(epoch).query_async(connection).await?;
    let entry: EntryId = entry.parse().map_err(|_unreadable| GateError::Malformed(entry))?;
    let purchase =
        Purchase { id, product: product.clone(), user: user.clone(), unit, admitted_at: entry.admitted_at() };
    let value = format!("{unit} {id} {entry}");
    redis::cmd("HSET").arg(&keys.buyers).arg(user.as_str()).arg(value).exec_async(connection).await?;
    redis::cmd("HSET").arg(&keys.sale).arg("next").arg(unit).exec_async(connection).await?;
    Ok(Admission::Won(OutboxEntry { id: entry, epoch, purchase }))
}

fn admit_script() -> String {
    let script = include_str!("scripts/admit.lua");
    if mutant!("no-duplicate-check") {
        let no_balance = "~= next_unit + (tonumber(sale[8]) or 0) then";
        return script.replace("if mine then", "if false then").replace(no_balance, "< 0 then");
    }
    script.to_owned()
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

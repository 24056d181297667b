//! How each fault is done and undone, and what shows that it took hold.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use futures_util::future::join_all;
use lapin::options::QueueDeleteOptions;
use rustix::process::Signal;

use super::{
    plan::{Fault, Kind, Target},
    system::{System, act},
};
use crate::support::{
    SOON, eventually,
    process::{Flashsale, is_stopped},
    proxy::{Link, Proxy},
    sale::now,
    servers::Server,
    stage::lasts,
};

impl System<'_> {
    /// Faults at the same time, each done and undone, and noted.
    pub(super) async fn suffer(&self, faults: &[Fault]) {
        self.prepare_for(&faults.iter().map(|fault| fault.kind).collect::<Vec<_>>()).await;
        join_all(faults.iter().map(async |fault| {
            let (kind, time) = (fault.kind, fault.time);
            let start = now();
            let done = self.strike(kind, time).await;
            let loses_redis = kind.loses_data() && kind.target() == Target::Redis;
            self.sale.fault(&format!("{:?}", done.unwrap_or(kind)), start, done.is_some(), loses_redis);
        }))
        .await;
    }

    /// Does and undoes a fault. What took hold of it, if anything did.
    async fn strike(&self, kind: Kind, time: Duration) -> Option<Kind> {
        let ground = self.ground;
        let held = match kind {
            Kind::RedisLink(link) => {
                let links = [&ground.redis.to_serves, &ground.redis.to_works];
                return Some(Kind::RedisLink(damage(&links, link, time).await));
            }
            Kind::RabbitLink(link) => {
                return Some(Kind::RabbitLink(damage(&[&ground.rabbit_link], link, time).await));
            }
            Kind::PostgresLink(link) => {
                return Some(Kind::PostgresLink(damage(&[&ground.postgres_link], link, time).await));
            }
            Kind::RedisFailover => ground.redis.fail_over(time).await,
            Kind::RedisSplitBrain => ground.redis.split_brain(time).await,
            Kind::RedisFailback => ground.redis.fail_back(time).await,
            Kind::RedisClock => self.plant_future_entry().await,
            // After a rebuild of a sale that is sold out there is none to lose.
            Kind::OutboxLoss if !self.lose_outbox().await => {
                return Box::pin(self.strike(Kind::ScriptFlush, time)).await;
            }
            Kind::OutboxLoss => true,
            Kind::RedisKill => kill(&ground.redis.primary, time, |_| {}).await,
            Kind::PostgresKill => kill(&ground.postgres, time, |_| {}).await,
            Kind::RedisWipe => self.wipe_redis(time).await,
            Kind::RedisRollback => self.roll_redis_back(time).await,
            Kind::RedisFreeze => {
                let redis = ground.redis.primary.lock().await;
                redis.signal(Signal::STOP);
                lasts(time).await;
                let frozen = is_stopped(redis.id());
                redis.signal(Signal::CONT);
                frozen
            }
            Kind::ScriptFlush => {
                let mut connection = self.direct.redis().await;
                redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await.is_ok()
            }
            Kind::RabbitKill => self.kill_rabbit(time, false).await,
            Kind::RabbitWipe => self.kill_rabbit(time, true).await,
            Kind::QueueDelete => {
                let queue = format!("{}.purchases", self.direct.prefix);
                let channel = self.direct.channel().await;
                channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.is_ok()
            }
            Kind::TableLock => self.lock_table(time).await,
            Kind::ServeKill | Kind::WorkKill => self.end(kind.target(), Signal::KILL, time).await,
            Kind::WorkTerminate => self.end(kind.target(), Signal::TERM, time).await,
            Kind::ServeFreeze | Kind::WorkFreeze => {
                let processes = self.processes(kind.target()).lock().await;
                let process = &processes[0];
                process.signal(Signal::STOP);
                lasts(time).await;
                let frozen = is_stopped(process.id());
                process.signal(Signal::CONT);
                frozen
            }
        };
        held.then_some(kind)
    }

    async fn wipe_redis(&self, time: Duration) -> bool {
        // There must be something to lose.
        eventually("Redis holds the sale", SOON, async || {
            (!self.direct.keys().await.is_empty()).then_some(())
        })
        .await;
        kill(&self.ground.redis.primary, time, |redis| redis.wipe()).await
    }

    async fn roll_redis_back(&self, time: Duration) -> bool {
        let folder = tempfile::tempdir().expect("dir");
        let (saved, restored) = (folder.path().to_owned(), folder.path().to_owned());
        act(&self.ground.redis.primary, move |redis| redis.save_to(&saved)).await;
        lasts(time).await;
        kill(&self.ground.redis.primary, time, move |redis| {
            redis.wipe();
            redis.restore_from(&restored);
        })
        .await
    }

    /// The ids of a stream only rise, and begin with the time at which they are given.
    async fn plant_future_entry(&self) -> bool {
        let (key, future) = (self.direct.key("limited-001", "outbox"), format!("{}-0", now() + 600_000));
        let mut plant = redis::pipe();
        plant.atomic();
        plant.cmd("XADD").arg(&key).arg(&future).arg("planted").arg(1).ignore();
        plant.cmd("XDEL").arg(&key).arg(&future);
        let planted: redis::RedisResult<(u32,)> = plant.query_async(&mut self.direct.redis().await).await;
        // An entry of a later time is there, if this was done before.
        planted.is_ok_and(|(deleted,)| deleted == 1)
    }

    async fn lose_outbox(&self) -> bool {
        let mut connection = self.direct.redis().await;
        let key = self.direct.key("limited-001", "outbox");
        redis::cmd("UNLINK").arg(key).query_async::<u32>(&mut connection).await.is_ok_and(|lost| lost == 1)
    }

    /// A node that is killed just after it has made a queue forgets half of it; that is another story (see
    /// docs/RELIABILITY.md).
    async fn kill_rabbit(&self, time: Duration, wipe: bool) -> bool {
        let queue = format!("{}.purchases", self.direct.prefix);
        let rabbit = self.ground.rabbit.lock().await;
        eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
        drop(rabbit);
        act(&self.ground.rabbit, move |rabbit| {
            rabbit.node.kill();
            if wipe {
                rabbit.node.wipe();
            }
        })
        .await;
        lasts(time).await;
        let ended = !answers(self.ground.rabbit.lock().await.node.port).await;
        act(&self.ground.rabbit, |rabbit| rabbit.node.start()).await;
        ended
    }

    async fn lock_table(&self, time: Duration) -> bool {
        let blocker = self.direct.sql().await;
        blocker.batch_execute("BEGIN; LOCK TABLE purchases IN ACCESS EXCLUSIVE MODE").await.expect("lock");
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'flashsale work' AND wait_event_type = 'Lock'";
        eventually("somebody waits for the lock", SOON, async || {
            (self.direct.count(waiting).await > 0).then_some(())
        })
        .await;
        lasts(time).await;
        blocker.batch_execute("COMMIT").await.is_ok()
    }

    /// Ends one process, and starts another one after a while.
    async fn end(&self, target: Target, signal: Signal, time: Duration) -> bool {
        let mut process: Flashsale = self.processes(target).lock().await.remove(0);
        process.signal(signal);
        let status = process.ended(Duration::from_secs(10)).await;
        lasts(time).await;
        let ended =
            if signal == Signal::KILL { status.signal() == Some(9) } else { status.code() == Some(0) };
        self.replace(target, process).await;
        ended
    }
}

/// Kills a server, does something to what it has stored, and starts it again.
async fn kill(
    server: &std::sync::Arc<tokio::sync::Mutex<Server>>,
    time: Duration,
    meanwhile: impl FnOnce(&mut Server) + Send + 'static,
) -> bool {
    act(server, move |server| {
        server.kill();
        meanwhile(server);
    })
    .await;
    lasts(time).await;
    let ended = !answers(server.lock().await.port).await;
    act(server, Server::start).await;
    ended
}

/// Damages links for a while, and at least until that has cost something. A damage that waits for certain bytes may wait
/// in vain, once everything is sold; then any answer is cut. The damage that took hold.
async fn damage(links: &[&Proxy], wanted: Link, time: Duration) -> Link {
    const PATIENCE: Duration = Duration::from_secs(15);
    let damaged = || links.iter().map(|link| link.damage()).sum::<u64>();
    let set = |wanted| links.iter().for_each(|link| link.set(wanted));
    let before = damaged();
    let costs = async || (damaged() > before).then_some(());
    set(wanted);
    lasts(time).await;
    let waiting = eventually("the damage takes hold", SOON, costs);
    let done = if tokio::time::timeout(PATIENCE, waiting).await.is_ok() {
        wanted
    } else {
        set(Link::CutAnswers);
        eventually("the damage takes hold", SOON, costs).await;
        Link::CutAnswers
    };
    set(Link::Pass);
    done
}

/// Whether anything listens at a port.
async fn answers(port: u16) -> bool {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

//! The system that suffers: servers behind links, two of each of our processes, and buyers.

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    failover::Redis,
    plan::{Kind, Target, not_survived},
};
use crate::{
    distributed::{catalogue, outbox_len},
    support::{
        SOON, eventually,
        http::{ready, try_send},
        process::Flashsale,
        proxy::{Link, Proxy},
        sale::{Buyers, Sale},
        servers::{self, Rabbit, Server},
        services::Services,
    },
};

const UNITS: u32 = 800;
const PACE: Duration = Duration::from_millis(100);

/// Servers of a lane's own; every run gets a place of its own on them.
pub(super) struct Ground {
    pub(super) redis: Redis,
    pub(super) rabbit: Arc<Mutex<Rabbit>>,
    pub(super) postgres: Arc<Mutex<Server>>,
    pub(super) rabbit_link: Proxy,
    pub(super) postgres_link: Proxy,
    direct: [String; 3],
}

impl Ground {
    pub(super) async fn start() -> Self {
        let starting = || (servers::rabbitmq(), servers::postgres());
        let (rabbit, postgres) = tokio::task::spawn_blocking(starting).await.expect("servers");
        let redis = Redis::start().await;
        let direct = urls(redis.to_test.port, rabbit.node.port, postgres.port);
        Self {
            rabbit_link: Proxy::to(rabbit.node.port).await,
            postgres_link: Proxy::to(postgres.port).await,
            redis,
            rabbit: Arc::new(Mutex::new(rabbit)),
            postgres: Arc::new(Mutex::new(postgres)),
            direct,
        }
    }
}

impl Ground {
    /// Puts everything right that a run has left broken.
    pub(super) async fn heal(&self) {
        for link in [&self.redis.to_serves, &self.redis.to_works, &self.rabbit_link, &self.postgres_link] {
            link.set(Link::Pass);
        }
        let restart = |server: &mut Server| {
            if server.is_running() {
                server.signal(Signal::CONT);
            } else {
                server.start();
            }
        };
        act(&self.redis.primary, restart).await;
        act(&self.redis.replica, restart).await;
        act(&self.postgres, restart).await;
        act(&self.rabbit, move |rabbit| restart(&mut rabbit.node)).await;
    }
}

fn urls(redis: u16, rabbit: u16, postgres: u16) -> [String; 3] {
    [
        format!("postgres://postgres@127.0.0.1:{postgres}/postgres"),
        format!("redis://127.0.0.1:{redis}"),
        format!("amqp://guest:guest@127.0.0.1:{rabbit}"),
    ]
}

/// Does something to a server that takes its time.
pub(super) async fn act<S: Send + 'static, T: Send + 'static>(
    server: &Arc<Mutex<S>>,
    act: impl FnOnce(&mut S) -> T + Send + 'static,
) -> T {
    let mut held: OwnedMutexGuard<S> = server.clone().lock_owned().await;
    tokio::task::spawn_blocking(move || act(&mut held)).await.expect("server")
}

/// One run's system.
pub(super) struct System<'ground> {
    pub(super) ground: &'ground Ground,
    pub(super) sale: Sale,
    /// As the test reaches it, past the links.
    pub(super) direct: Services,
    /// As our processes reach it: `serve`, `work`.
    linked: [Services; 2],
    serves: Mutex<Vec<Flashsale>>,
    works: Mutex<Vec<Flashsale>>,
    products: tempfile::NamedTempFile,
    /// What has happened since nothing was on its way.
    since_settled: Mutex<Vec<Kind>>,
}

impl<'ground> System<'ground> {
    pub(super) async fn open(ground: &'ground Ground) -> Self {
        let [database, redis, amqp] = &ground.direct;
        let direct = Services::on(database, redis, amqp).await;
        let linked = [&ground.redis.to_serves, &ground.redis.to_works].map(|redis| {
            direct.elsewhere(&urls(redis.port, ground.rabbit_link.port, ground.postgres_link.port))
        });
        let system = Self {
            ground,
            sale: Sale::new(),
            direct,
            linked,
            serves: Mutex::default(),
            works: Mutex::default(),
            products: catalogue(UNITS),
            since_settled: Mutex::default(),
        };
        for _ in 0..2 {
            system.works.lock().await.push(system.spawn("work"));
            system.serves.lock().await.push(system.spawn("serve"));
        }
        system.lead_buyers().await;
        for serve in &*system.serves.lock().await {
            ready(&serve.api().await).await;
        }
        let queue = format!("{}.purchases", system.direct.prefix);
        let rabbit = ground.rabbit.lock().await;
        eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
        drop(rabbit);
        system
    }

    fn spawn(&self, command: &str) -> Flashsale {
        let products = self.products.path().to_str().expect("path");
        let variables = [("FLASHSALE_PRODUCTS", products), ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000")];
        let [serves, works] = &self.linked;
        let linked = if command == "serve" { serves } else { works };
        linked.spawn(&[command], &variables)
    }

    pub(super) fn start_selling(&self) -> Buyers {
        self.sale.open_at(UNITS + 60, PACE)
    }

    /// Tells the buyers where the API is.
    async fn lead_buyers(&self) {
        let mut apis = Vec::new();
        for serve in &*self.serves.lock().await {
            apis.push(serve.api().await);
        }
        self.sale.at(&apis.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Our processes of one kind.
    pub(super) fn processes(&self, target: Target) -> &Mutex<Vec<Flashsale>> {
        if target == Target::Serve { &self.serves } else { &self.works }
    }

    /// Puts a fresh process in the place of one that has ended.
    pub(super) async fn replace(&self, target: Target, ended: Flashsale) {
        let command = if target == Target::Serve { "serve" } else { "work" };
        let fresh = self.spawn(command);
        if target == Target::Serve {
            let _ = fresh.api().await;
        }
        self.processes(target).lock().await.push(fresh);
        drop(ended);
        self.lead_buyers().await;
    }

    /// What is not survived, and not promised: the loss of everything that knows of a purchase before the ledger does.
    /// Before a fault would make that possible, what is on its way must have arrived.
    pub(super) async fn prepare_for(&self, kinds: &[Kind]) {
        let mut since_settled = self.since_settled.lock().await;
        if not_survived(&[&since_settled, kinds].concat()) {
            self.settled().await;
            since_settled.clear();
        }
        since_settled.extend(kinds);
    }

    /// Waits until everything is healthy, and nothing is on its way.
    async fn settled(&self) {
        eventually("what is on its way arrives", SOON, async || {
            let client = reqwest::Client::new();
            for api in self.sale.apis() {
                let answer = try_send(client.get(format!("{api}/readyz"))).await?;
                (answer.status == 200).then_some(())?;
            }
            let empty = outbox_len(&self.direct).await == 0 && self.direct.depth("purchases").await == 0;
            empty.then_some(())
        })
        .await;
    }

    pub(super) async fn rows(&self) -> i64 {
        self.direct.count("SELECT count(*) FROM purchases").await
    }

    pub(super) async fn audit(&self) -> (Option<i32>, String) {
        self.sale.audit(&self.direct, self.products.path().to_str().expect("path"), 60).await
    }

    pub(super) fn logs(&self) -> String {
        let processes = [&self.serves, &self.works].map(|kind| kind.try_lock().expect("at rest"));
        let logs = processes.iter().flat_map(|kind| kind.iter().map(Flashsale::log));
        logs.collect::<Vec<_>>().join("\n---\n")
    }
}

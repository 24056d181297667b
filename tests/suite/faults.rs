//! What happens to a sale when a server dies, is wiped, rolled back, cut off or stopped in the middle of it. Each
//! fault is shown to have taken hold, and each sale ends in the audit.

use std::time::Duration;

use lapin::{
    options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::{
    distributed::catalogue,
    support::{
        SOON, eventually,
        http::{get, ready, try_send},
        process::Flashsale,
        proxy::{DAMAGE, Link, Proxy},
        sale::{Sale, now},
        servers::{self, Server},
        services::Services,
    },
};

const UNITS: u32 = 600;

/// A system in the middle of a sale.
struct Stage {
    services: Services,
    sale: Sale,
    buyers: JoinSet<()>,
    api: String,
    work: Flashsale,
    serve: Flashsale,
    products: tempfile::NamedTempFile,
}

impl Stage {
    /// Opens a sale, and waits until a good part is sold.
    async fn open(services: Services) -> Self {
        let products = catalogue(UNITS);
        let path = products.path().to_str().expect("path").to_owned();
        let variables = [("FLASHSALE_PRODUCTS", path.as_str()), ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000")];
        let (work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
        let api = serve.api().await;
        ready(&api).await;
        ready(&work.health().await).await;
        let sale = Sale::new();
        sale.at(&[&api]);
        let buyers = sale.open(UNITS + 50);
        let stage = Self { services, sale, buyers, api, work, serve, products };
        stage.sold(UNITS / 8).await;
        stage
    }

    /// Waits until so many rows are in the ledger.
    async fn sold(&self, rows: u32) {
        eventually("sales go on", SOON, async || {
            let sold = self.services.count("SELECT count(*) FROM purchases").await;
            (sold >= rows.into()).then_some(())
        })
        .await;
    }

    /// Waits until the API can't sell: the fault has taken hold.
    async fn not_ready(&self) {
        let (client, url) = (crate::support::http::client(), format!("{}/readyz", self.api));
        eventually("not ready", SOON, async || {
            let answer = try_send(client.get(&url)).await?;
            (answer.status == 503).then_some(())
        })
        .await;
    }

    /// Waits for the buyers, and audits.
    async fn holds(mut self) {
        let all = async {
            while let Some(ended) = self.buyers.join_next().await {
                ended.expect("buyer");
            }
        };
        let waited = tokio::time::timeout(SOON * 2, all).await;
        assert!(waited.is_ok(), "the buyers are not done\n{}\n---\n{}", self.serve.log(), self.work.log());
        self.sale.holds(&self.services, self.products.path().to_str().expect("path")).await;
    }
}

/// On the shared servers, but for Redis.
async fn with_redis(port: u16) -> Services {
    let shared = Services::urls();
    Services::on(&shared.database, &format!("redis://127.0.0.1:{port}"), &shared.amqp).await
}

/// Does something to a server that takes its time, and gives it back.
async fn blocking(mut server: Server, act: impl FnOnce(&mut Server) + Send + 'static) -> Server {
    let acting = tokio::task::spawn_blocking(move || {
        act(&mut server);
        server
    });
    acting.await.expect("server")
}

async fn own(start: fn() -> Server) -> Server {
    tokio::task::spawn_blocking(start).await.expect("server")
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_restarted() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let redis = blocking(redis, Server::kill).await;
    stage.not_ready().await;
    let _redis = blocking(redis, Server::start).await;
    stage.sale.fault("redis-kill", start, true, false);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_wiped() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let redis = blocking(redis, |redis| {
        redis.kill();
        redis.wipe();
    })
    .await;
    stage.not_ready().await;
    let _redis = blocking(redis, Server::start).await;
    stage.sale.fault("redis-wipe", start, true, true);
    stage.holds().await;
}

/// It comes back as it was some sales before.
#[tokio::test(flavor = "multi_thread")]
async fn redis_is_rolled_back() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let before = tempfile::tempdir().expect("dir");
    let (saved, restored) = (before.path().to_owned(), before.path().to_owned());
    let redis = blocking(redis, move |redis| redis.save_to(&saved)).await;
    stage.sold(UNITS / 2).await;
    let start = now();
    let redis = blocking(redis, move |redis| {
        redis.kill();
        redis.wipe();
        redis.restore_from(&restored);
    })
    .await;
    let _redis = blocking(redis, Server::start).await;
    let epoch = "SELECT epoch FROM products";
    eventually("a rebuild", SOON, async || (stage.services.count(epoch).await > 1).then_some(())).await;
    stage.sale.fault("redis-rollback", start, true, true);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_stopped_for_a_while() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    redis.signal(Signal::STOP);
    stage.not_ready().await;
    redis.signal(Signal::CONT);
    stage.sale.fault("redis-stop", start, true, false);
    stage.holds().await;
}

/// Bytes go nowhere, then answers are lost, then connections are refused; each outage is noticed, and none costs a
/// purchase.
#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_redis_is_damaged() {
    let shared = Services::urls();
    let proxy = Proxy::to(port_of(&shared.redis)).await;
    let stage = Stage::open(with_redis(proxy.port).await).await;
    for link in [Link::Blackhole, Link::CutAnswers, Link::Refuse] {
        let start = now();
        proxy.set(link);
        stage.not_ready().await;
        proxy.set(Link::Pass);
        ready(&stage.api).await;
        stage.sale.fault(&format!("redis-link-{link:?}"), start, true, false);
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_rabbitmq_is_damaged() {
    let shared = Services::urls();
    let proxy = Proxy::to(port_of(&shared.amqp)).await;
    let amqp = format!("amqp://guest:guest@127.0.0.1:{}", proxy.port);
    let stage = Stage::open(Services::on(&shared.database, &shared.redis, &amqp).await).await;
    for link in [Link::CutAnswers, Link::Refuse, Link::Blackhole] {
        let start = now();
        proxy.set(link);
        let answer = stage.sale.buy(&format!("during-{link:?}")).await.expect("an answer");
        let durability = answer.durability.expect("durability");
        assert_eq!(durability, "redis", "nothing was confirmed: {link:?}");
        eventually("the outage is noticed", SOON, async || {
            let answer = get(&format!("{}/readyz", stage.api)).await;
            let away = answer.body.to_string().contains("\"name\":\"rabbitmq\",\"ready\":false");
            assert_eq!(answer.status, 200, "it can still sell");
            away.then_some(())
        })
        .await;
        proxy.set(Link::Pass);
        stage.sale.fault(&format!("rabbitmq-link-{link:?}"), start, true, false);
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_postgresql_is_damaged() {
    let shared = Services::urls();
    let proxy = Proxy::to(port_of(&shared.database)).await;
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port);
    let stage = Stage::open(Services::on(&database, &shared.redis, &shared.amqp).await).await;
    let health = stage.work.health().await;
    for link in [Link::CutAnswers, Link::Refuse, Link::Blackhole] {
        let start = now();
        proxy.set(link);
        eventually("the worker is not ready", SOON, async || {
            (get(&format!("{health}/readyz")).await.status == 503).then_some(())
        })
        .await;
        proxy.set(Link::Pass);
        stage.sale.fault(&format!("postgresql-link-{link:?}"), start, true, false);
    }
    assert_eq!(stage.services.depth("purchases.dead").await, 0, "an outage is no reason for a dead letter");
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_restarted() {
    let postgres = own(servers::postgres).await;
    let shared = Services::urls();
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port);
    let stage = Stage::open(Services::on(&database, &shared.redis, &shared.amqp).await).await;
    let (start, health) = (now(), stage.work.health().await);
    let postgres = blocking(postgres, Server::kill).await;
    eventually("the worker is not ready", SOON, async || {
        (get(&format!("{health}/readyz")).await.status == 503).then_some(())
    })
    .await;
    // Long enough for the worker to leave the queue.
    let _ = tokio::time::timeout(DAMAGE, std::future::pending::<()>()).await;
    assert_eq!(get(&format!("{}/readyz", stage.api)).await.status, 200, "it can still sell");
    let _postgres = blocking(postgres, Server::start).await;
    stage.sale.fault("postgresql-kill", start, true, false);
    assert_eq!(stage.services.depth("purchases.dead").await, 0);
    stage.holds().await;
}

/// The queue, then the exchange, is deleted under everybody who uses it.
#[tokio::test(flavor = "multi_thread")]
async fn queue_and_exchange_are_deleted() {
    let stage = Stage::open(Services::new().await).await;
    let name = format!("{}.purchases", stage.services.prefix);
    let start = now();
    let channel = stage.services.channel().await;
    let deleted =
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.expect("delete");
    stage.sale.fault("queue-deleted", start, true, false);
    eprintln!("{deleted} messages were in it");
    eventually("the queue is there again", SOON, async || {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let channel = stage.services.channel().await;
        channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await.ok().map(drop)
    })
    .await;
    let start = now();
    let channel = stage.services.channel().await;
    channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await.expect("delete");
    stage.sale.fault("exchange-deleted", start, true, false);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_flushed() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let mut connection = stage.services.redis().await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await.expect("SCRIPT FLUSH");
    stage.sale.fault("script-flush", start, true, false);
    stage.holds().await;
}

/// The worker, then the API, is stopped for longer than anybody waits, and goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn processes_are_stopped_and_continued() {
    let stage = Stage::open(Services::new().await).await;
    let products = stage.products.path().to_str().expect("path").to_owned();
    let variables = [("FLASHSALE_PRODUCTS", products.as_str()), ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000")];
    let second = stage.services.spawn(&["serve"], &variables);
    let second_api = second.api().await;
    ready(&second_api).await;
    stage.sale.at(&[&stage.api, &second_api]);
    for (name, process) in [("work-stop", &stage.work), ("serve-stop", &stage.serve)] {
        let start = now();
        process.signal(Signal::STOP);
        let _ = tokio::time::timeout(Duration::from_secs(4), std::future::pending::<()>()).await;
        process.signal(Signal::CONT);
        stage.sale.fault(name, start, true, false);
    }
    stage.holds().await;
}

fn port_of(url: &str) -> u16 {
    let authority = url.split("://").nth(1).expect("URL").split('/').next().expect("authority");
    authority.rsplit(':').next().expect("port").parse().expect("port")
}

//! RabbitMQ dies, loses data, refuses messages, or does not answer.

use std::time::Duration;

use lapin::{
    options::{ExchangeDeleteOptions, ExchangeUnbindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use rustix::process::Signal;
use serde_json::json;

use crate::distributed::{catalogue, drained};
use crate::support::{
    SOON, eventually,
    http::{buy, client, get, ready},
    process::is_stopped,
    proxy::{Link, Proxy},
    replicated::{command, connection},
    sale::now,
    servers::{self, Rabbit},
    services::Services,
    stage::{Stage, UNITS, blocking, lasts, own, port_of, with_rabbitmq},
};

/// The key of the lock that keeps workers from the queue: src/ledger/postgres/lock.rs.
const WORKERS_LOCK: i64 = 0x666c_6173_6803;

/// What readiness says while the publishing connection is away.
const AWAY: &str = "\"name\":\"rabbitmq\",\"ready\":false";

impl Stage {
    fn queue(&self) -> String {
        format!("{}.purchases", self.services.prefix)
    }

    /// Waits until it is noticed that RabbitMQ is away, and sees that the sale goes on.
    async fn sells_without_rabbitmq(&self, user: &str) {
        self.readiness("the outage is noticed", |status, body| {
            assert_eq!(status, 200, "it can still sell: {body}");
            body.contains(AWAY)
        })
        .await;
        let answer = self.sale.buy(user).await.expect("an answer");
        assert_eq!(answer.durability.as_deref(), Some("redis"), "nothing was confirmed");
    }
}

async fn restarted(rabbit: Rabbit) -> Rabbit {
    blocking(rabbit, |rabbit| rabbit.node.start()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn is_killed_and_away_for_a_minute() {
    let rabbit = own(servers::rabbitmq).await;
    let stage = Stage::open(with_rabbitmq(rabbit.node.port).await).await;
    let queue = stage.queue();
    eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
    let start = now();
    let rabbit = blocking(rabbit, |rabbit| rabbit.node.kill()).await;
    stage.sells_without_rabbitmq("during").await;
    lasts(Duration::from_mins(1)).await;
    let _rabbit = restarted(rabbit).await;
    stage.sale.fault("rabbitmq-kill", start, true, false);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_wiped() {
    let rabbit = own(servers::rabbitmq).await;
    let stage = Stage::open(with_rabbitmq(rabbit.node.port).await).await;
    // So that there is something to lose.
    stage.work.signal(Signal::STOP);
    eventually("messages wait", SOON, async || (stage.services.depth("purchases").await > 0).then_some(()))
        .await;
    let start = now();
    let rabbit = blocking(rabbit, |rabbit| {
        rabbit.node.kill();
        rabbit.node.wipe();
    })
    .await;
    stage.work.signal(Signal::CONT);
    stage.sells_without_rabbitmq("during").await;
    let _rabbit = restarted(rabbit).await;
    stage.sale.fault("rabbitmq-wipe", start, true, false);
    stage.holds().await;
}

/// The queue, then the exchange, is deleted under everybody who uses it.
#[tokio::test(flavor = "multi_thread")]
async fn loses_its_queue_and_its_exchange() {
    let stage = Stage::open(Services::new().await).await;
    let (name, start) = (stage.queue(), now());
    let channel = stage.services.channel().await;
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.expect("delete");
    stage.sale.fault("queue-deleted", start, true, false);
    eventually("the queue is there again", SOON, async || stage.services.has_queue().await.then_some(()))
        .await;
    let start = now();
    let channel = stage.services.channel().await;
    let lost = || stage.serve.log().matches("lost rabbitmq:").count();
    let before = lost();
    // A publisher that is just being connected declares the exchange anew: it is deleted until a publish fails.
    eventually("a publish fails", SOON, async || {
        channel
            .exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default())
            .await
            .expect("delete");
        (lost() > before).then_some(())
    })
    .await;
    stage.sale.fault("exchange-deleted", start, true, false);
    stage.holds().await;
}

/// The queue is deleted and declared anew in one breath: RabbitMQ moves the worker's consumer over without a word, and
/// takes the first messages of the new queue for ones that it has delivered.
#[tokio::test(flavor = "multi_thread")]
async fn swallows_messages_for_a_consumer_that_it_has_moved() {
    let (services, products) = (Services::new().await, catalogue(60));
    let path = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let (work, serve) = (services.spawn(&["work"], &path), services.spawn(&["serve"], &path));
    let (client, api) = (client(), serve.api().await);
    ready(&api).await;
    for number in 0..40 {
        buy(&client, &api, &format!("before-{number}")).await;
    }
    drained(&services, 40).await;
    let (channel, name) = (services.channel().await, format!("{}.purchases", services.prefix));
    let mut arguments = FieldTable::default();
    for (key, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", name.as_str()),
        ("x-dead-letter-routing-key", &format!("{name}.dead")),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(1_000_000));
    let (deleted, declared) = futures_util::future::join(
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()),
        channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments),
    )
    .await;
    deleted.expect("deleted");
    declared.expect("declared");
    buy(&client, &api, "after").await;
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'after'";
    eventually("it is recorded", SOON, async || (services.count(row).await == 1).then_some(())).await;
    assert!(
        !work.log().contains("lost rabbitmq-consumer"),
        "RabbitMQ has told the consumer:\n{}",
        work.log()
    );
}

/// The queue is deleted while nobody but the API uses it. Its confirms of before are worth nothing, and it says so.
#[tokio::test(flavor = "multi_thread")]
async fn loses_its_queue_while_nobody_consumes() {
    let stage = Stage::open(Services::new().await).await;
    let (name, start) = (stage.queue(), now());
    stage.work.signal(Signal::STOP);
    eventually("the worker is stopped", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    let channel = stage.services.channel().await;
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.expect("delete");
    let answer = stage.sale.buy("during").await.expect("an answer");
    assert_eq!(answer.durability.as_deref(), Some("redis"), "it was returned");
    stage.serve.logs("lost rabbitmq: it does not confirm messages").await;
    stage.work.signal(Signal::CONT);
    eventually("the queue is bound again", SOON, async || {
        let answer = stage.sale.buy(&format!("after-{}", fastrand::u64(..))).await?;
        (answer.durability.as_deref() == Some("broker")).then_some(())
    })
    .await;
    stage.sale.fault("queue-deleted-unnoticed", start, true, false);
    stage.holds().await;
}

/// Purchases wait in the queue, no worker takes them, and each was sent again several times. Then the queue is deleted,
/// and declared anew by the leader, on connections that live on.
#[tokio::test(flavor = "multi_thread")]
async fn loses_its_queue_while_the_workers_stand_aside() {
    /// Ages of 0.1 s, 0.4 s, 1.6 s, 6.4 s and 25.6 s are reached by then; the next one is 102 s.
    const WAIT: Duration = Duration::from_secs(35);
    let (services, products) = (Services::new().await, catalogue(50));
    let variables = [
        ("FLASHSALE_PRODUCTS", products.path().to_str().expect("path")),
        ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "100"),
    ];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    // As a rebuild does.
    let operator = services.sql().await;
    operator.execute("SELECT pg_advisory_lock($1)", &[&WORKERS_LOCK]).await.expect("lock");
    let client = client();
    for number in 1..=5 {
        assert_eq!(buy(&client, &api, &format!("buyer-{number}")).await.body["status"], "SUCCESS");
    }
    eventually("messages wait", SOON, async || (services.depth("purchases").await >= 5).then_some(())).await;
    lasts(WAIT).await;
    let name = format!("{}.purchases", services.prefix);
    let channel = services.channel().await;
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.expect("delete");
    eventually("the queue is there again", SOON, async || services.has_queue().await.then_some(())).await;
    assert_eq!(services.count("SELECT count(*) FROM purchases").await, 0, "a worker has taken them before");
    operator.execute("SELECT pg_advisory_unlock($1)", &[&WORKERS_LOCK]).await.expect("unlock");
    drained(&services, 5).await;
    assert!(!work.log().contains("lost rabbitmq:"), "it was noticed by the connection: {}", work.log());
}

/// The queue is not bound to the epoch that sells, and no leader is there to bind it.
#[tokio::test(flavor = "multi_thread")]
async fn is_not_bound_to_the_epoch_that_sells() {
    let stage = Stage::open(Services::new().await).await;
    let (name, start) = (stage.queue(), now());
    stage.work.signal(Signal::STOP);
    eventually("the worker is stopped", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    let epoch = stage.services.count("SELECT epoch FROM products").await;
    let key = format!("limited-001.{epoch}");
    let (from, to) = (name.as_str(), format!("{name}.open"));
    let channel = stage.services.channel().await;
    let (options, arguments) = (ExchangeUnbindOptions::default(), FieldTable::default());
    let unbound =
        channel.exchange_unbind(to.as_str().into(), from.into(), key.as_str().into(), options, arguments);
    unbound.await.expect("unbind");
    eventually("it is told", SOON, async || {
        stage.sale.buy(&format!("unbound-{}", fastrand::u64(..))).await?;
        let told = "because no `flashsale work` has bound it";
        stage.serve.log().contains(told).then_some(())
    })
    .await;
    stage.readiness("readiness says so", |status, body| status == 200 && body.contains(AWAY)).await;
    assert_eq!(stage.serve.log().matches("lost rabbitmq").count(), 1, "{}", stage.serve.log());
    stage.work.signal(Signal::CONT);
    eventually("the queue is bound again", SOON, async || {
        let answer = stage.sale.buy(&format!("bound-{}", fastrand::u64(..))).await?;
        (answer.durability.as_deref() == Some("broker")).then_some(())
    })
    .await;
    stage.readiness("it is up", |_, body| !body.contains(AWAY)).await;
    stage.serve.logs("rabbitmq is up, after").await;
    stage.sale.fault("queue-unbound", start, true, false);
    stage.holds().await;
}

/// RabbitMQ is killed just after the queue was declared for the first time, and comes back with a queue that is there and
/// does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn has_a_queue_that_never_confirms() {
    let rabbit = own(servers::rabbitmq).await;
    let services = with_rabbitmq(rabbit.node.port).await;
    let products = catalogue(UNITS);
    let products = ("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"));
    let (start, first) = (now(), services.spawn(&["work"], &[products]));
    let rabbit = with_stalled_queue(&services, rabbit).await;
    first.kill();
    let stage = Stage::open(services).await;
    stage.work.logs("replaced the queue of purchases").await;
    let answer = stage.sale.buy("healed").await.expect("an answer");
    assert_eq!(answer.durability.as_deref(), Some("broker"));
    let log = stage.work.log();
    assert_eq!(log.matches("waiting for rabbitmq: it does not confirm messages").count(), 1, "{log}");
    assert_eq!(log.matches("rabbitmq is up, after").count(), 1, "{log}");
    stage.sale.fault("rabbitmq-queue-stalls", start, true, false);
    stage.holds().await;
    drop(rabbit);
}

/// RabbitMQ is wiped, and killed just after the queue was declared anew, which never confirms from then on.
pub(crate) async fn with_stalled_queue(services: &Services, mut rabbit: Rabbit) -> Rabbit {
    const ATTEMPTS_MAX: u32 = 5;
    for _ in 0..ATTEMPTS_MAX {
        rabbit = blocking(rabbit, |rabbit| {
            rabbit.node.kill();
            rabbit.node.wipe();
            rabbit.node.start();
        })
        .await;
        eventually("the queue is declared", SOON, async || services.has_queue().await.then_some(())).await;
        rabbit = restarted(blocking(rabbit, |rabbit| rabbit.node.kill()).await).await;
        if services.has_queue().await && !services.confirms().await {
            return rabbit;
        }
    }
    panic!("the queue works after each of {ATTEMPTS_MAX} restarts");
}

/// The queue stalls when Redis is lost, too: it is not replaced, and readiness and console tell an operator what to do.
#[tokio::test(flavor = "multi_thread")]
async fn has_a_queue_that_never_confirms_and_redis_is_lost() {
    let (redis, rabbit) = (own(servers::redis).await, own(servers::rabbitmq).await);
    let (redis_url, amqp_url) = (
        format!("redis://127.0.0.1:{}", redis.port),
        format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port),
    );
    let services = Services::on(&Services::urls().database, &redis_url, &amqp_url).await;
    let products = catalogue(10);
    let products = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let spawn = |command| services.spawn(&[command], &products);
    let (work, serve, web) = (spawn("work"), spawn("serve"), spawn("web"));
    let (api, console) = (serve.api().await, web.console().await);
    ready(&api).await;
    assert_eq!(buy(&client(), &api, "first").await.body["unit"], json!(1));
    drained(&services, 1).await;
    work.signal(rustix::process::Signal::KILL);
    let rabbit = with_stalled_queue(&services, rabbit).await;
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["FLUSHALL"]).await;
    let work = spawn("work");
    let health = work.health().await;
    let says = async |place: &str, what: &str, is_said: bool| {
        eventually(what, SOON, async || {
            (get(place).await.body.to_string().contains(what) == is_said).then_some(())
        })
        .await;
    };
    let (readiness, snapshot) = (format!("{health}/readyz"), format!("{console}/console/snapshot"));
    let request = "delete the queue <prefix>.purchases, which loses";
    says(&readiness, request, true).await;
    says(&snapshot, request, true).await;
    // The dead-letter queue, declared a moment earlier, answers or not.
    for queue in ["purchases", "purchases.dead"] {
        let (channel, name) = (services.channel().await, format!("{}.{queue}", services.prefix));
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("delete");
    }
    ready(&api).await;
    let second = buy(&client(), &api, "second").await.body;
    assert_eq!((&second["unit"], &second["durability"]), (&json!(2), &json!("broker")));
    says(&readiness, "delete the queue", false).await;
    says(&snapshot, "delete the queue", false).await;
    assert_eq!(work.log().matches("queue of purchases: it confirms and delivers nothing").count(), 1);
    drained(&services, 2).await;
    drop((rabbit, redis));
}

fn set_memory(rabbit: &mut Rabbit, share: &str) {
    rabbit.control(&["set_vm_memory_high_watermark", share]);
}

/// The channels that consume, in order.
async fn consumers(rabbit: Rabbit) -> (Rabbit, Vec<String>) {
    let asking = tokio::task::spawn_blocking(move || {
        let listed = rabbit.control(&["list_consumers", "--quiet", "--no-table-headers", "channel_pid"]);
        let mut channels: Vec<_> = listed.lines().map(str::to_owned).collect();
        channels.sort_unstable();
        (rabbit, channels)
    });
    let (rabbit, channels) = asking.await.expect("rabbitmqctl");
    assert!(!channels.is_empty(), "nobody consumes");
    (rabbit, channels)
}

/// It blocks publishers, and nobody else: the worker goes on, and nobody reconnects again and again.
#[tokio::test(flavor = "multi_thread")]
async fn raises_a_memory_alarm() {
    let rabbit = own(servers::rabbitmq).await;
    let stage = Stage::open(with_rabbitmq(rabbit.node.port).await).await;
    let (rabbit, before) = consumers(rabbit).await;
    let start = now();
    let rabbit = blocking(rabbit, |rabbit| set_memory(rabbit, "0")).await;
    stage.readiness("publishers are blocked", |_, body| body.contains("memory or disk alarm")).await;
    stage.sells_without_rabbitmq("during").await;
    let consuming = async || {
        let health = format!("{}/readyz", stage.work.health().await);
        get(&health).await.body.to_string().contains("\"name\":\"rabbitmq-consumer\",\"ready\":true")
    };
    for _ in 0..10 {
        lasts(Duration::from_secs(1)).await;
        assert!(consuming().await, "the worker has left the queue");
    }
    let (rabbit, after) = consumers(rabbit).await;
    assert_eq!(before, after, "a worker has connected anew");
    let rabbit = blocking(rabbit, |rabbit| set_memory(rabbit, "0.6")).await;
    stage.readiness("publishers go on", |_, body| !body.contains(AWAY)).await;
    stage.sale.fault("rabbitmq-memory-alarm", start, true, false);
    for process in [&stage.serve, &stage.work] {
        let log = process.log();
        let lines = log.lines().filter(|line| line.contains("rabbitmq")).count();
        assert!(lines <= 8, "{lines} lines about one alarm:\n{log}");
    }
    stage.holds().await;
    drop(rabbit);
}

#[tokio::test(flavor = "multi_thread")]
async fn has_a_damaged_link() {
    let proxy = Proxy::to(port_of(&Services::urls().amqp)).await;
    let stage = Stage::open(with_rabbitmq(proxy.port).await).await;
    for link in [Link::CutAnswers, Link::Refuse, Link::Blackhole] {
        let (start, before) = (now(), proxy.damage());
        proxy.set(link);
        let answer = stage.sale.buy(&format!("during-{link:?}")).await.expect("an answer");
        assert_eq!(answer.durability.as_deref(), Some("redis"), "nothing was confirmed: {link:?}");
        stage.readiness("the outage is noticed", |_, body| body.contains(AWAY)).await;
        proxy.set(Link::Pass);
        ready(&stage.api).await;
        stage.sale.fault(&format!("rabbitmq-link-{link:?}"), start, proxy.damage() > before, false);
    }
    stage.holds().await;
}

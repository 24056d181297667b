//! What a rebuild must not miss, and which epochs it must fence. Each on a Redis of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use flashsale::{
    admission::Decision,
    broker::{Broker, BrokerError, DeadLetter, DeadLetters, RabbitMq, RabbitOptions, Topology},
    config::ServiceUrl,
    domain::UserId,
    ledger::{Leadership, Writer},
    observability::{Dependency, Telemetry, readiness::Probe},
    recovery::{Recovery, RecoveryError, RecoveryOptions},
    runtime::Runtime,
    stores::Stores,
};
use lapin::{
    BasicProperties, Confirmation,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions},
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    admission::redis_on,
    dead_letters::{given_up, letters_are, operate},
    distributed::{ID, catalogue, drained},
    faulty::decorator::{BrokerDecorator, Decorated},
    ledger::{fresh_id, postgres, product},
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        process::{Flashsale, is_stopped},
        servers::{self, Server},
        services::Services,
        stage::{own, with_redis},
    },
    worker::message,
};

const EPOCHS: &str = "SELECT epoch FROM products";
const OPENED: &str = "SELECT opened_epoch FROM products";

async fn flush(services: &Services) {
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
}

impl Services {
    /// Whether a message of this epoch would reach the queue.
    async fn is_bound(&self, epoch: i64) -> bool {
        let (channel, exchange) = (self.channel().await, format!("{}.purchases", self.prefix));
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let nothing = message(self, 0, ID, &[]).await;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (key, properties) = (format!("{ID}.{epoch}"), BasicProperties::default());
        let sent = channel.basic_publish(exchange.into(), key.into(), options, &nothing, properties).await;
        match sent.expect("publish").await.expect("a confirm") {
            Confirmation::Ack(returned) => returned.is_none(),
            other => panic!("{other:?}"),
        }
    }

    /// Loses Redis, and waits until the sale is open again.
    async fn is_rebuilt(&self) -> i64 {
        let before = self.count(OPENED).await;
        flush(self).await;
        eventually("a rebuild", SOON, async || {
            let opened = self.count(OPENED).await;
            (opened > before).then_some(opened)
        })
        .await
    }
}

struct Running {
    _redis: Server,
    services: Services,
    products: tempfile::NamedTempFile,
    work: Flashsale,
    serve: Flashsale,
    api: String,
}

impl Running {
    async fn start(for_work: &[(&str, &str)]) -> Self {
        let redis = own(servers::redis).await;
        let (services, products) = (with_redis(redis.port).await, catalogue(10));
        let path = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
        let work = services.spawn(&["work"], &[&path[..], for_work].concat());
        let serve = services.spawn(&["serve"], &path);
        let api = serve.api().await;
        ready(&api).await;
        ready(&work.health().await).await;
        Self { _redis: redis, services, products, work, serve, api }
    }

    fn spawn(&self, command: &str, more: &[(&str, &str)]) -> Flashsale {
        let path = [("FLASHSALE_PRODUCTS", self.products.path().to_str().expect("path"))];
        self.services.spawn(&[command], &[&path[..], more].concat())
    }

    async fn refuses_cursed(&self) {
        let refuse = "ALTER TABLE purchases ADD CONSTRAINT no_cursed CHECK (user_id NOT LIKE 'cursed%')";
        self.services.sql().await.batch_execute(refuse).await.expect("constraint");
    }

    async fn has_state(&self, user: &str, state: &str) {
        let url = format!("{}/sale/purchase/status?userId={user}", self.api);
        eventually(state, SOON, async || {
            let answer = get(&url).await;
            (answer.status == 200 && answer.body["state"] == json!(state)).then_some(())
        })
        .await;
    }

    async fn buys(&self, user: &str) -> Value {
        buy(&client(), &self.api, user).await.body
    }
}

/// An operator tries to replay a dead letter between a rebuild's drain of the queue and its reading of the dead letters:
/// the letter stays a source of the rebuild, and its unit is sold to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_replayed_in_the_middle_keeps_its_unit() {
    // The second rebuild: the first one opens the sale.
    let run = Running::start(&[("FLASHSALE_CRASH", "rebuild-before-letters@2:stop")]).await;
    run.refuses_cursed().await;
    assert_eq!(run.buys("cursed").await["unit"], json!(1));
    letters_are(&run.services, 1).await;
    run.services
        .sql()
        .await
        .batch_execute("ALTER TABLE purchases DROP CONSTRAINT no_cursed")
        .await
        .expect("repaired");
    flush(&run.services).await;
    eventually("the queue is drained", SOON, async || is_stopped(run.work.id()).then_some(())).await;
    let (code, said) = operate(&run.services, &["dead-letters", "replay", "--all"]).await;
    run.work.signal(Signal::CONT);
    ready(&run.api).await;
    assert_eq!(run.buys("second").await["unit"], json!(2));
    run.has_state("cursed", "CONFIRMED").await;
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'cursed' AND unit = 1";
    assert_eq!(run.services.count(row).await, 1);
    assert_eq!(code, Some(1), "the letters are not held: {said}");
}

/// More letters than are held in memory: the last one holds a promise.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_behind_a_hundred_thousand_others_keeps_its_unit() {
    const OTHERS: u32 = 100_000;
    let run = Running::start(&[]).await;
    run.refuses_cursed().await;
    let (channel, dead) = (run.services.channel().await, format!("{}.purchases.dead", run.services.prefix));
    for _ in 0..OTHERS {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("".into(), dead.as_str().into(), options, b"not ours", properties);
        drop(sent.await.expect("publish"));
    }
    let has = async |number: u32| {
        eventually("the letters", SOON, async || {
            (run.services.depth("purchases.dead").await == number).then_some(())
        })
        .await;
    };
    has(OTHERS).await;
    assert_eq!(run.buys("cursed").await["unit"], json!(1));
    has(OTHERS + 1).await;
    run.services.is_rebuilt().await;
    run.has_state("cursed", "PENDING").await;
    assert_eq!(run.buys("second").await["unit"], json!(2));
    has(OTHERS + 1).await;
    let (code, listed) = operate(&run.services, &["dead-letters", "list"]).await;
    assert_eq!(code, Some(0));
    assert!(listed.ends_with("100001 dead letters\nthe latest 90001 are not shown"), "{listed:.2000}");
}

/// A leader is gone between binding an epoch and noting it: nothing but the broker remembers that epoch.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_bound_and_not_noted_is_fenced() {
    let services = Services::new().await;
    let first = services.spawn(&["work"], &[("FLASHSALE_CRASH", "rebuild-after-bind@1:stop")]);
    eventually("an epoch is bound", SOON, async || is_stopped(first.id()).then_some(())).await;
    let (abandoned, opened) = (services.count(EPOCHS).await, services.count(OPENED).await);
    assert!(services.is_bound(abandoned).await && opened == 0, "{abandoned}, {opened}");
    first.signal(Signal::KILL);
    let second = services.spawn(&["work"], &[]);
    second.logs("the sale is ready").await;
    let sells = services.count(OPENED).await;
    assert!(sells > abandoned && services.is_bound(sells).await);
    assert!(!services.is_bound(abandoned).await, "a late purchase of epoch {abandoned} would be confirmed");
}

/// The database is restored to an earlier state, Redis is lost, and every leader is a new one: nothing but the broker
/// remembers the epoch that sold last.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_no_store_remembers_is_fenced() {
    let run = Running::start(&[]).await;
    drop(run.serve);
    run.services.back_up().await;
    run.services.is_rebuilt().await;
    let latest = run.services.is_rebuilt().await;
    assert!(run.services.is_bound(latest).await);
    drop(run.work);
    run.services.restore().await;
    flush(&run.services).await;
    let path = ("FLASHSALE_PRODUCTS", run.products.path().to_str().expect("path"));
    let work = run.services.spawn(&["work"], &[path]);
    work.logs("the sale is ready").await;
    let sells = run.services.count(OPENED).await;
    assert!(sells < latest, "epoch {sells} is not one that was there before {latest}");
    assert!(run.services.is_bound(sells).await && !run.services.is_bound(latest).await);
}

/// The database is restored, Redis is lost, and a process that sells has seen later epochs: the sale is rebuilt above
/// them, and not once for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_ledger_goes_above_what_was_seen() {
    let run = Running::start(&[]).await;
    run.services.back_up().await;
    for _ in 0..5 {
        run.services.is_rebuilt().await;
    }
    ready(&run.api).await;
    let seen = run.services.count(OPENED).await;
    assert_eq!(run.buys("promised").await["unit"], json!(1));
    drained(&run.services, 1).await;
    run.work.signal(Signal::KILL);
    run.services.restore().await;
    flush(&run.services).await;
    let work = run.spawn("work", &[]);
    eventually("an epoch above the latest", SOON, async || {
        (run.services.count(OPENED).await > seen).then_some(())
    })
    .await;
    ready(&run.api).await;
    let rebuilds = work.log().matches("the sale is ready").count();
    assert!(rebuilds <= 2, "{rebuilds} rebuilds:\n{}", work.log());
}

/// Ledger and Redis both forget that the sale was ever open: the queue is drained all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_no_store_remembers_is_drained() {
    let run = Running::start(&[]).await;
    run.work.signal(Signal::KILL);
    let promised = run.buys("promised").await;
    assert_eq!((&promised["unit"], &promised["durability"]), (&json!(1), &json!("broker")));
    run.serve.signal(Signal::KILL);
    let forget = "UPDATE products SET epoch = 0, opened_epoch = 0";
    run.services.sql().await.batch_execute(forget).await.expect("a ledger from before the opening");
    flush(&run.services).await;
    // The queue shows the message when the workers have stood aside: none of them has recorded it before.
    let (channel, queue) = (run.services.channel().await, format!("{}.purchases", run.services.prefix));
    let message = channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("the queue");
    assert!(message.is_some_and(|message| message.data.windows(8).any(|text| text == b"promised")));
    let work = run.spawn("work", &[("FLASHSALE_CRASH", "rebuild-after-pause@1:stop")]);
    eventually("the workers stand aside", SOON, async || is_stopped(work.id()).then_some(())).await;
    channel.close(200, "given back".into()).await.expect("closed");
    work.signal(Signal::CONT);
    let opened = work.logs("the sale is ready").await;
    assert!(opened.contains("buyers=1"), "its unit would be sold again: {opened}");
}

/// The product's own recovery in this process, on real servers.
struct InProcess {
    services: Services,
    stores: Stores,
    recovery: Recovery,
    leader: Box<dyn Leadership>,
}

impl InProcess {
    /// With an open sale. `around`: what the broker is replaced with.
    async fn start(around: impl FnOnce(Arc<dyn Broker>) -> Arc<dyn Broker>) -> Self {
        let services = Services::new().await;
        let (ledger, runtime) = (postgres(&services), Runtime::system());
        ledger.migrate().await.expect("migrate");
        let system = ledger.system(&services.prefix).await.expect("system");
        ledger.add_products(&[product(10)]).await.expect("products");
        let rabbit = RabbitOptions {
            url: ServiceUrl::parse(&services.amqp_url, &["amqp"]).expect("URL"),
            topology: Topology::new(&services.prefix),
            heartbeat_s: 10,
            connect_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(10),
            prefetch_messages: 100,
            proves_queue: true,
        };
        let dependency = |name| Dependency::new(name, &runtime.clock);
        let (publishing, known) = (dependency("rabbitmq"), tokio::sync::watch::channel(Some(system.id)).1);
        let broker = RabbitMq::start(rabbit, &publishing, dependency("rabbitmq-consumer"), known, &runtime);
        eventually("RabbitMQ", SOON, async || publishing.outage().is_none().then_some(())).await;
        let admission = redis_on(&services).await.admission;
        let stores = Stores { admission, broker: around(Arc::new(broker.expect("broker"))), ledger };
        let options = RecoveryOptions {
            sweep_after: Duration::from_mins(10),
            reconcile_interval: Duration::from_mins(10),
        };
        let telemetry = Telemetry::new(runtime.clock.clone());
        let mut recovery = Recovery::new(stores.clone(), telemetry, options, &runtime);
        let mut leader = stores.ledger.lead().await.expect("ledger").expect("the lead");
        recovery.round(&mut *leader).await.expect("the sale opens");
        Self { services, stores, recovery, leader }
    }

    async fn with_silent_letters(is_silent: &Arc<AtomicBool>, stalls: &Arc<AtomicBool>) -> Self {
        let (is_silent, stalls) = (is_silent.clone(), stalls.clone());
        Self::start(|inner| Arc::new(Decorated(SilentLetters { inner, is_silent, stalls }))).await
    }

    async fn round(&mut self) -> Result<(), RecoveryError> {
        self.recovery.round(&mut *self.leader).await
    }

    async fn loses_its_state(&self) {
        let sale = self.services.key(ID, "sale");
        redis::cmd("DEL").arg(&sale).exec_async(&mut self.services.redis().await).await.expect("DEL");
    }
}

/// A rebuild that can't record what it drains gives the messages back, in each of its rounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_failed_rounds_use_up_no_delivery_attempt() {
    const ROUNDS: u32 = 110;
    const SOLD: i64 = 5;
    let mut run = InProcess::start(|broker| broker).await;
    for number in 0..SOLD {
        let user = UserId::parse(&format!("buyer-{number}")).expect("user");
        let won = run.stores.admission.admit(&product(1).id, &user, fresh_id()).await.expect("admitted");
        let Decision::Won(entry) = won else { panic!("{won:?}") };
        run.stores.broker.publish(&[entry]).await.expect("confirmed");
    }
    let operator = run.services.sql().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END$$;
        CREATE TRIGGER refuse BEFORE INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION refuse()";
    operator.batch_execute(refuse).await.expect("a trigger");
    run.loses_its_state().await;
    for number in 1..=ROUNDS {
        let failed = run.round().await.expect_err("nothing can be recorded");
        assert!(format!("{failed:?}").contains("no space left"), "round {number}: {failed:?}");
    }
    assert_eq!(run.services.depth("purchases.dead").await, 0);
    operator.batch_execute("DROP TRIGGER refuse ON purchases").await.expect("no trigger");
    run.round().await.expect("it is rebuilt");
    assert_eq!(run.services.count("SELECT count(*) FROM purchases").await, SOLD);
    // What is left proves that the queue confirms, and holds nothing.
    while let Some((message, _)) = run.services.take("purchases").await {
        let message = String::from_utf8(message).expect("text");
        assert!(message.contains("\"items\":[]"), "{message}");
    }
    assert_eq!(run.services.depth("purchases.dead").await, 0);
}

/// A broker whose dead-letter queue takes letters, and gives none; and one whose queue stalls besides.
#[derive(Debug)]
struct SilentLetters {
    inner: Arc<dyn Broker>,
    is_silent: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
}

impl BrokerDecorator for SilentLetters {
    fn inner(&self) -> &Arc<dyn Broker> {
        &self.inner
    }

    fn dead_letters(&self, held: Box<dyn DeadLetters>) -> Box<dyn DeadLetters> {
        if self.is_silent.load(Ordering::Relaxed) { Box::new(Silent(held)) } else { held }
    }

    fn stalled_for(&self) -> Option<Duration> {
        if self.stalls.load(Ordering::Relaxed) { Some(Duration::from_mins(1)) } else { None }
    }
}

#[derive(Debug)]
struct Silent(Box<dyn DeadLetters>);

#[async_trait]
impl DeadLetters for Silent {
    async fn unread(&mut self) -> Result<u32, BrokerError> {
        Ok(0)
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        Err(BrokerError::DeadLettersSilent("its.dead".to_owned()))
    }

    async fn replay(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        self.0.replay(letter).await
    }

    async fn remove(&mut self, position: u64) -> Result<(), BrokerError> {
        self.0.remove(position).await
    }

    async fn close(self: Box<Self>) {
        self.0.close().await;
    }
}

/// A dead-letter queue that does not answer is neither taken for empty nor replaced: the rebuild waits, and readiness
/// says what an operator has to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_that_does_not_answer_waits_for_an_operator() {
    let (is_silent, stalls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut run = InProcess::with_silent_letters(&is_silent, &stalls).await;
    given_up(&run.services, b"a letter").await;
    is_silent.store(true, Ordering::Relaxed);
    run.loses_its_state().await;
    for _ in 0..2 {
        let failed = run.round().await.expect_err("the dead letters are a source");
        assert!(matches!(failed, RecoveryError::Broker(BrokerError::DeadLettersSilent(_))), "{failed:?}");
    }
    let asked = run.recovery.requests().check();
    let text = asked.first().and_then(|check| check.outage.clone()).expect("a request");
    assert!(asked.len() == 1 && text.contains("its.dead does not answer: repair RabbitMQ"), "{asked:?}");
    is_silent.store(false, Ordering::Relaxed);
    run.round().await.expect("it is rebuilt");
    assert!(run.recovery.requests().check().is_empty());
    assert_eq!(run.services.depth("purchases.dead").await, 1, "the letter is gone");
}

/// Both queues stall at once, as after RabbitMQ was killed within a second of their declaration: the dead-letter queue is
/// replaced only where no worker can have dead-lettered anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_is_replaced_only_while_the_outbox_has_everything() {
    for has_recorded in [false, true] {
        let (is_silent, stalls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut run = InProcess::with_silent_letters(&is_silent, &stalls).await;
        let user = UserId::parse("buyer").expect("user");
        let won = run.stores.admission.admit(&product(1).id, &user, fresh_id()).await.expect("admitted");
        let Decision::Won(entry) = won else { panic!("{won:?}") };
        if has_recorded {
            run.stores.ledger.record(std::slice::from_ref(&entry), Writer::Worker).await.expect("recorded");
        }
        given_up(&run.services, b"a letter").await;
        for fault in [&is_silent, &stalls] {
            fault.store(true, Ordering::Relaxed);
        }
        run.round().await.expect("the queue of purchases is replaced in either case");
        let left = run.services.depth("purchases.dead").await;
        let asked = run.recovery.requests().check();
        assert_eq!((left, asked.len()), if has_recorded { (1, 1) } else { (0, 0) }, "{asked:?}");
    }
}

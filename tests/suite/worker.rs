//! What a worker does with messages that are bad, repeated, or in conflict; and the sweeper's ages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use flashsale::{
    admission::{Admission, MemoryAdmission},
    broker::{Broker, Consumer, MemoryBroker},
    domain::{Entry, EntryId, LedgerVerdict, ProductId, PurchaseId, Terms, UserId},
    ledger::{Ledger, Writer},
    observability::Telemetry,
    outbox::{Sweeper, Swept},
    runtime::{Clock, Runtime, SystemClock},
    stores::Stores,
    worker::{Mode, Recorder},
};
use serde_json::{Value, json};

use crate::{
    conformance::handed_out,
    ledger::{Bench, fresh_id, postgres_at, purchase},
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        services::Services,
    },
};

pub(crate) fn item(user: &str, unit: i64) -> Value {
    json!({"id": fresh_id(), "user": user, "unit": unit, "admittedAt": 1_732_000_000_123_i64, "seq": 0})
}

/// A message of this system.
pub(crate) async fn message(services: &Services, epoch: u64, product: &str, items: &[Value]) -> Vec<u8> {
    message_of(&services.system().await, epoch, product, items)
}

fn message_of(system: &str, epoch: u64, product: &str, items: &[Value]) -> Vec<u8> {
    json!({"type": "purchases", "v": 1, "system": system, "epoch": epoch, "product": product, "items": items})
        .to_string()
        .into()
}

async fn dead_reasons(services: &Services, number: u32) -> Vec<String> {
    eventually("dead letters", SOON, async || {
        (services.depth("purchases.dead").await == number).then_some(())
    })
    .await;
    // A comparison of the stores holds the letters for a moment.
    let mut reasons = Vec::new();
    eventually("all reasons", SOON, async || {
        while let Some((_, reason)) = services.take("purchases.dead").await {
            reasons.push(reason);
        }
        (reasons.len() == number as usize).then_some(())
    })
    .await;
    reasons.sort();
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_succeed_is_dead_lettered_and_its_neighbours_are_recorded() {
    let services = Services::new().await;
    let work = services.spawn(&["work"], &[]);
    ready(&work.health().await).await;
    services.publish(b"not JSON \x00").await;
    services.publish(br#"{"type":"purchases","v":99}"#).await;
    let elsewhere = "00000000-0000-4000-8000-000000000000";
    services.publish(&message_of(elsewhere, 1, "limited-001", &[item("foreign", 3)])).await;
    services.publish(&vec![b'x'; 10_000_000]).await;
    services.publish(&message(&services, 1, "unknown-product", &[item("u", 1)]).await).await;
    let mixed = [item("a", 1), item("b", 0), item("c", 10_001), item("d\u{0}", 2), item("e", 2)];
    services.publish(&message(&services, 1, "limited-001", &mixed).await).await;
    let reasons = dead_reasons(&services, 8).await;
    assert_eq!(
        reasons,
        [
            "bad-field",
            "bad-field",
            "foreign-system",
            "malformed",
            "malformed",
            "unit-out-of-range",
            "unknown-product",
            "unknown-version"
        ]
    );
    let users = "SELECT count(*) FROM purchases WHERE user_id IN ('a', 'e')";
    eventually("neighbours", SOON, async || (services.count(users).await == 2).then_some(())).await;
    assert_eq!(services.count("SELECT count(*) FROM purchases").await, 2);
    eventually("all acked", SOON, async || (services.depth("purchases").await == 0).then_some(())).await;
}

/// A message of a Redis that was lost names a unit that was sold again since: the first commit stands, the other
/// buyer gets another unit, and the last one, for whom none is left, is told why.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_settled_in_favour_of_the_first_commit() {
    let (services, file) = (Services::new().await, tempfile::NamedTempFile::new().expect("file"));
    let catalogue =
        "[[products]]\nid = \"p\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 3";
    std::fs::write(file.path(), catalogue).expect("write");
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let client = client();
    let status = async |user: &str| get(&format!("{api}/sale/purchase/status?userId={user}")).await.body;
    let first = buy(&client, &api, "first").await.body;
    eventually("confirmed", SOON, async || {
        (status("first").await["state"] == json!("CONFIRMED")).then_some(())
    })
    .await;

    // Unit 1 for someone else, and another unit for the same user.
    let (moved, doubled) = (item("moved", 1), item("first", 3));
    services.publish(&message(&services, 0, "p", &[moved.clone(), doubled.clone()]).await).await;
    eventually("moved", SOON, async || {
        let status = status("moved").await;
        (status["state"] == json!("CONFIRMED")).then(|| assert_eq!(status["unit"], json!(2)))
    })
    .await;
    let row = "SELECT id::text FROM purchases WHERE user_id = 'moved'";
    let id: String = services.sql().await.query_one(row, &[]).await.expect("row").get(0);
    assert_eq!(json!(id), moved["id"], "it is still the same purchase");
    assert_eq!(status("first").await["purchaseId"], first["purchaseId"]);
    let revoked = "SELECT count(*) FROM revocations WHERE user_id = 'first'";
    eventually("recorded", SOON, async || (services.count(revoked).await == 1).then_some(())).await;

    assert_eq!(buy(&client, &api, "third").await.body["unit"], json!(3));
    let late = item("late", 1);
    for _ in 0..2 {
        services.publish(&message(&services, 1, "p", &[late.clone()]).await).await;
    }
    let reason =
        "SELECT count(*) FROM revocations WHERE user_id = 'late' AND reason LIKE '%no unit was left%'";
    eventually("revoked", SOON, async || (services.count(reason).await == 1).then_some(())).await;
    eventually("the buyer learns why", SOON, async || {
        let status = status("late").await;
        let told = status["reason"].as_str().is_some_and(|reason| reason.contains("no unit was left"));
        (told && status["state"] == json!("REVOKED") && status["hasPurchased"] == json!(false)).then_some(())
    })
    .await;
    assert_eq!(services.count("SELECT count(*) FROM purchases").await, 3);
    assert_eq!(services.depth("purchases.dead").await, 0);
}

/// A reason may quote the message; it must still fit into the head of the dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_message_with_a_long_text_is_put_away_as_well() {
    let services = Services::new().await;
    let work = services.spawn(&["work"], &[]);
    ready(&work.health().await).await;
    let long = "\u{e4}".repeat(200_000);
    services.publish(json!({"type": long, "v": 1}).to_string().as_bytes()).await;
    services.publish(&message(&services, 1, "limited-001", &[json!(long), item("neighbour", 1)]).await).await;
    assert_eq!(dead_reasons(&services, 2).await, ["bad-field", "unknown-version"]);
    let rows = "SELECT count(*) FROM purchases WHERE user_id = 'neighbour'";
    eventually("the neighbour", SOON, async || (services.count(rows).await == 1).then_some(())).await;
}

/// Takes and acks a message.
async fn received(consumer: &mut dyn Consumer) -> Vec<PurchaseId> {
    let delivery = consumer.next().await.expect("a message");
    delivery.acknowledge.ack().await.expect("ack");
    delivery.content.entries.into_iter().map(|entry| entry.purchase.id).collect()
}

/// A clock that the test sets.
#[derive(Debug)]
struct ManualClock {
    began: (DateTime<Utc>, Instant),
    seconds: AtomicU32,
    /// How far the wall clock is ahead.
    ahead: AtomicU32,
}

impl ManualClock {
    fn new() -> Self {
        let began = (SystemClock.now(), SystemClock.instant());
        Self { began, seconds: AtomicU32::new(0), ahead: AtomicU32::new(0) }
    }

    fn set(&self, seconds: u32) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        let seconds = self.seconds.load(Ordering::Relaxed) + self.ahead.load(Ordering::Relaxed);
        self.began.0 + TimeDelta::seconds(seconds.into())
    }

    fn instant(&self) -> Instant {
        self.began.1 + Duration::from_secs(self.seconds.load(Ordering::Relaxed).into())
    }

    fn sleep(&self, duration: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

#[tokio::test]
async fn an_entry_is_sent_again_at_growing_ages_and_once_after_an_outage() {
    let clock = Arc::new(ManualClock::new());
    let gate: Arc<dyn Admission> = Arc::new(MemoryAdmission::new(clock.clone()));
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::default());
    let product = ProductId::parse("p").expect("id");
    let terms = Terms { total_stock: 10, opens_at: None, closes_at: None, paused: false };
    gate.fence(&product, 1).await.expect("fence");
    gate.open(&product, 1, &terms, handed_out(0)).await.expect("open");
    let id = fresh_id();
    gate.admit(&product, &UserId::parse("a").expect("user"), id).await.expect("won");

    let bench = Bench::sqlite().await;
    let mut sweeper = sweeper_of(&gate, &broker, &bench.ledger, &clock);
    let mut consumer = broker.consumer().await.expect("consumer");
    let mut sent_at = Vec::new();
    // The broker is away from second 30 to second 200: nothing is received, so nothing is confirmed.
    for second in (0..30).chain(200..1_600) {
        clock.set(second);
        let sale = gate.sale(&product).await.expect("sale");
        let (mut ids, sweeping) = (None, sweeper.sweep(&product, &sale));
        tokio::pin!(sweeping);
        let swept = loop {
            tokio::select! {
                swept = &mut sweeping => break swept,
                received = received(&mut *consumer) => ids = Some(received),
            }
        };
        assert_eq!(swept.expect("swept").sent, ids.as_ref().map_or(0, Vec::len));
        if let Some(ids) = ids {
            assert_eq!(ids, [id]);
            sent_at.push(second);
        }
    }
    assert_eq!(sent_at, [5, 20, 200, 320, 1_280]);
}

/// A worker on the old side of a split brain records purchases, and settles them there.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_has_is_settled_instead_of_being_sent_once_more() {
    let clock = Arc::new(ManualClock::new());
    let gate: Arc<dyn Admission> = Arc::new(MemoryAdmission::new(clock.clone()));
    let (broker, bench): (Arc<dyn Broker>, _) = (Arc::new(MemoryBroker::default()), Bench::sqlite().await);
    let product = purchase("a", 1).product;
    let terms = Terms { total_stock: 10, opens_at: None, closes_at: None, paused: false };
    gate.fence(&product, 1).await.expect("fence");
    gate.open(&product, 1, &terms, handed_out(0)).await.expect("open");
    for user in ["recorded", "not-recorded", "recorded-under-another-unit"] {
        gate.admit(&product, &UserId::parse(user).expect("user"), fresh_id()).await.expect("won");
    }
    let mut entries = gate.outbox(&product, EntryId::FIRST, EntryId::LAST, 9).await.expect("entries");
    let left: Vec<_> = entries[1..].iter().map(|entry| entry.purchase.id).collect();
    entries.remove(1);
    entries[1].purchase.unit = 9;
    let verdicts = bench.ledger.record(&entries, Writer::Worker).await.expect("recorded");
    assert_eq!(verdicts, [LedgerVerdict::Recorded, LedgerVerdict::Recorded]);
    let (mut sweeper, mut consumer) =
        (sweeper_of(&gate, &broker, &bench.ledger, &clock), broker.consumer().await.expect("consumer"));
    for (second, sent, settled) in [(0, 0, 0), (6, 3, 0), (7, 0, 0), (21, 2, 1), (81, 2, 0)] {
        clock.set(second);
        let sale = gate.sale(&product).await.expect("sale");
        let sweeping = sweeper.sweep(&product, &sale);
        let swept = if sent == 0 {
            sweeping.await
        } else {
            let (swept, ids) = tokio::join!(sweeping, received(&mut *consumer));
            assert!(sent == 3 || ids == left, "at second {second}");
            swept
        };
        assert_eq!(swept.expect("swept"), Swept { sent, settled }, "at second {second}");
    }
    assert_eq!(gate.sale(&product).await.expect("sale").in_flight, 2);
    // A ledger that can't be read keeps nothing from being sent.
    let away = postgres_at("postgres://nobody@127.0.0.1:1/x");
    let mut sweeper = sweeper_of(&gate, &broker, &away, &clock);
    for second in [100, 106, 121] {
        clock.set(second);
        let sale = gate.sale(&product).await.expect("sale");
        let sweeping = sweeper.sweep(&product, &sale);
        if second == 100 {
            assert_eq!(sweeping.await.expect("swept"), Swept::default());
            continue;
        }
        let (swept, ids) = tokio::join!(sweeping, received(&mut *consumer));
        assert_eq!((swept.expect("swept"), &ids), (Swept { sent: 2, settled: 0 }, &left), "at {second}");
    }
}

fn sweeper_of(
    gate: &Arc<dyn Admission>,
    broker: &Arc<dyn Broker>,
    ledger: &Arc<dyn Ledger>,
    clock: &Arc<ManualClock>,
) -> Sweeper {
    let (admission, broker, ledger) = (gate.clone(), broker.clone(), ledger.clone());
    Sweeper::new(Stores { admission, broker, ledger }, Duration::from_secs(5), &manual(clock))
}

fn manual(clock: &Arc<ManualClock>) -> Runtime {
    Runtime { clock: clock.clone(), ..Runtime::system() }
}

/// Ages are those that a sweeper has seen: it neither sends all that it finds at once, nor believes the time of an entry.
#[tokio::test]
async fn what_a_new_leader_finds_is_young_and_an_entry_of_the_future_is_not() {
    let clock = Arc::new(ManualClock::new());
    clock.ahead.store(600, Ordering::Relaxed);
    let gate: Arc<dyn Admission> = Arc::new(MemoryAdmission::new(clock.clone()));
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::default());
    let product = ProductId::parse("p").expect("id");
    let terms = Terms { total_stock: 10, opens_at: None, closes_at: None, paused: false };
    gate.fence(&product, 1).await.expect("fence");
    gate.open(&product, 1, &terms, handed_out(0)).await.expect("open");
    let id = fresh_id();
    gate.admit(&product, &UserId::parse("a").expect("user"), id).await.expect("won");
    clock.ahead.store(0, Ordering::Relaxed);
    let (mut consumer, bench) = (broker.consumer().await.expect("consumer"), Bench::sqlite().await);
    for found_at in [100, 200] {
        let mut leader = sweeper_of(&gate, &broker, &bench.ledger, &clock);
        for second in found_at..found_at + 5 {
            clock.set(second);
            let sale = gate.sale(&product).await.expect("sale");
            assert!(sale.ahead(sale.newest.expect("an entry")).is_some(), "it is not of the future");
            assert_eq!(leader.sweep(&product, &sale).await.expect("swept"), Swept::default(), "{second}");
        }
        clock.set(found_at + 5);
        let sale = gate.sale(&product).await.expect("sale");
        let (swept, received) = tokio::join!(leader.sweep(&product, &sale), received(&mut *consumer));
        assert_eq!((swept.expect("swept").sent, received), (1, vec![id]));
    }
}

/// However often a purchase is delivered, it is timed once: a redelivery says nothing of how long recording takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_timed_when_it_is_recorded_and_not_again() {
    let (bench, runtime) = (Bench::postgres().await, Runtime::system());
    let stores = Stores {
        admission: Arc::new(MemoryAdmission::new(runtime.clock.clone())),
        broker: Arc::new(MemoryBroker::default()),
        ledger: bench.ledger.clone(),
    };
    let recorder = Recorder { stores, telemetry: Telemetry::new(runtime.clock), mode: Mode::Working };
    let purchases = [purchase("a", 1), purchase("b", 2)];
    let product = purchases[0].product.clone();
    let entries = purchases.map(|purchase| {
        let id = EntryId { millis: 1_732_000_000_123, sequence: purchase.unit.into() };
        Entry { id, epoch: 1, purchase }
    });
    for timed in [2, 0] {
        recorder.record(entries.iter().collect()).await.expect("recorded");
        let counts = recorder.telemetry.meter.take();
        assert_eq!(counts.get(&product).map_or(0, |tally| tally.recording.number()), timed);
    }
}

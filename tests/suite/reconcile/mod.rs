//! Differences between Redis and the ledger: each is found, reported with its cause, and repaired.

mod outcome;

use serde_json::{Value, json};

use crate::{
    distributed::{catalogue, drained},
    purchases::system,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        services::Services,
    },
};

async fn reconcile(services: &Services, more: &[&str], products: &str) -> (Option<i32>, Vec<Value>) {
    let arguments = [&["reconcile", "--json"], more].concat();
    let mut process = services.spawn(&arguments, &[("FLASHSALE_PRODUCTS", products)]);
    let code = process.ended(SOON).await.code();
    if code == Some(2) {
        return (code, Vec::new());
    }
    let printed: Value = serde_json::from_str(&process.printed()).expect("JSON");
    assert!(printed["queued"].is_u64() && printed["law"]["totalStock"] == json!(20), "{printed}");
    (code, printed["differences"].as_array().expect("a list").clone())
}

/// An entry that is not counted would be taken for damage.
async fn count_entry(redis: &mut redis::aio::MultiplexedConnection, sale: &str) {
    redis::cmd("HINCRBY").arg(sale).arg("in_flight").arg(1).exec_async(redis).await.expect("HINCRBY");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_difference_is_found_and_repaired() {
    let (services, file) = (Services::new().await, catalogue(20));
    let products = file.path().to_str().expect("path");
    let variables = [("FLASHSALE_PRODUCTS", products), ("FLASHSALE_RECOVERY_RECONCILE_INTERVAL_S", "1")];
    let mut work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    for number in 1..=6 {
        assert_eq!(buy(&client, &api, &format!("buyer-{number}")).await.body["unit"], json!(number));
    }
    drained(&services, 6).await;
    assert_eq!(reconcile(&services, &[], products).await, (Some(0), Vec::new()));
    // A worker would repair some of it by itself.
    work.signal(rustix::process::Signal::TERM);
    work.ended(SOON).await;

    // A winner without a row or an entry; a row without a winner; a row of another purchase; an
    // entry with a row.
    let (sql, mut redis) = (services.sql().await, services.redis().await);
    sql.batch_execute(
        "DELETE FROM purchases WHERE user_id = 'buyer-1';
         INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
         VALUES (gen_random_uuid(), 'limited-001', 'stranger', 1, now(), 1);
         UPDATE purchases SET id = gen_random_uuid() WHERE user_id = 'buyer-2'",
    )
    .await
    .expect("by hand");
    let (buyers, outbox) = (services.key("limited-001", "buyers"), services.key("limited-001", "outbox"));
    let winner: String =
        redis::cmd("HGET").arg(&buyers).arg("buyer-4").query_async(&mut redis).await.expect("HGET");
    let parts: Vec<_> = winner.split(' ').collect();
    let entry = [("user", "buyer-4"), ("unit", parts[0]), ("id", parts[1]), ("epoch", "1")];
    redis::cmd("XADD").arg(&outbox).arg("*").arg(&entry).exec_async(&mut redis).await.expect("XADD");
    let sale = services.key("limited-001", "sale");
    count_entry(&mut redis, &sale).await;

    let (code, found) = reconcile(&services, &[], products).await;
    assert_eq!(code, Some(1));
    let of = |user: &str| {
        let kinds = found.iter().filter(|one| one["user"] == json!(user)).map(|one| one["kind"].clone());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(of("buyer-1"), [json!("lost-on-the-way")]);
    assert_eq!(of("buyer-2"), [json!("other-purchase")]);
    assert_eq!(of("stranger"), [json!("unknown-to-admission")]);
    assert_eq!(of("buyer-4"), [json!("stale-entry")]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|one| one["cause"].is_string() && one["repair"].is_string()), "{found:?}");
    // A worker finds it by itself, and records again what is only missing.
    let work = services.spawn(&["work"], &variables);
    let health = work.health().await;
    work.logs("admission and ledger differ in").await;
    work.logs("purchases that the ledger lacks are in the outbox again").await;
    let drift = eventually("drift", SOON, async || {
        let readiness = get(&format!("{health}/readyz")).await.body.to_string();
        readiness.contains("reconciliation limited-001").then_some(readiness)
    });
    assert!(drift.await.contains("\"required\":false"));

    assert_eq!(reconcile(&services, &["--fix"], products).await.0, Some(0));
    eventually("agreed", SOON, async || {
        ready(&api).await;
        let (code, found) = reconcile(&services, &[], products).await;
        (code == Some(0)).then(|| assert_eq!(found, [Value::Null; 0]))
    })
    .await;
    work.logs("admission and ledger agree again").await;
    drained(&services, 7).await;
    for (user, unit) in [("stranger", 1), ("buyer-1", 7), ("buyer-2", 2), ("buyer-3", 3), ("buyer-4", 4)] {
        let again = buy(&client, &api, user).await.body;
        assert_eq!((&again["status"], &again["unit"]), (&json!("PURCHASED"), &json!(unit)), "{user}");
    }
}

/// An entry that no worker takes is reported once it is a minute old, and left to the sweeper.
#[tokio::test(flavor = "multi_thread")]
async fn an_undelivered_purchase_and_a_unit_with_two_owners_are_found() {
    let (services, file) = (Services::new().await, catalogue(20));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let api = &system.api;
    let client = client();
    for number in 1..=3 {
        assert_eq!(buy(&client, api, &format!("buyer-{number}")).await.body["unit"], json!(number));
    }
    drained(&services, 3).await;
    system.work.kill();
    // Two minutes old, in a stream whose entries are all younger.
    let mut redis = services.redis().await;
    let key = |name| services.key("limited-001", name);
    let (outbox, buyers, sale) = (key("outbox"), key("buyers"), key("sale"));
    redis::cmd("DEL").arg(&outbox).exec_async(&mut redis).await.expect("DEL");
    let old = format!("{}-0", crate::support::sale::now() - 120_000);
    let id = "0193a000-0000-7000-8000-000000000004".to_owned();
    let entry = [("user", "waiting"), ("unit", "4"), ("id", id.as_str()), ("epoch", "1")];
    redis::cmd("XADD").arg(&outbox).arg(&old).arg(&entry).exec_async(&mut redis).await.expect("XADD");
    count_entry(&mut redis, &sale).await;
    let winner = format!("4 {id} {old}");
    redis::cmd("HSET").arg(&buyers).arg("waiting").arg(winner).exec_async(&mut redis).await.expect("HSET");
    redis::cmd("HSET").arg(&sale).arg("next").arg(4).exec_async(&mut redis).await.expect("HSET");
    let (code, found) = reconcile(&services, &["--fix"], products).await;
    assert_eq!((code, found.len()), (Some(1), 1), "{found:?}");
    assert_eq!((&found[0]["kind"], &found[0]["user"]), (&json!("undelivered"), &json!("waiting")));

    let twice = format!("2 {id} {old}");
    redis::cmd("HSET").arg(&buyers).arg("waiting").arg(twice).exec_async(&mut redis).await.expect("HSET");
    let (_, found) = reconcile(&services, &[], products).await;
    let units = found.iter().find(|one| one["kind"] == json!("units")).expect("units");
    assert_eq!(units["detail"], json!("unit 2 is given out twice"));
}

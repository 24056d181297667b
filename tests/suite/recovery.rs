//! Losses of parts of Redis, and rebuilds under difficult conditions. Each on a Redis of its own.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use serde_json::json;

use crate::{
    distributed::{Own, catalogue, drained, outbox_len},
    support::{
        SOON, eventually,
        http::{Answer, buy, buy_at, client, get, ready, try_send},
        process::{Flashsale, is_stopped},
        servers,
        services::Services,
        stage::{own, with_redis},
    },
};

/// Waits until an attempt by somebody who has a unit is answered with that same unit.
async fn sells_again(client: &reqwest::Client, api: &str, buyer: &str, unit: u32) -> Answer {
    let url = format!("{api}/sale/buy");
    let answer = eventually("it sells again", SOON, async || {
        let answer = try_send(client.post(&url).json(&json!({ "userId": buyer }))).await?;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!((&answer.body["status"], &answer.body["unit"]), (&json!("PURCHASED"), &json!(unit)));
    answer
}

struct Running {
    _own: Own,
    services: Services,
    api: String,
    work: Flashsale,
    _serve: Flashsale,
}

async fn running(products: &str) -> Running {
    let (own, services) = Own::start().await;
    let variables = [("FLASHSALE_PRODUCTS", products)];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    Running { _own: own, services, api, work, _serve: serve }
}

/// The queue is one for all products: a rebuild must neither wait for the end of another sale nor lose any of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_rebuilt_while_another_one_sells() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let one = |id: &str| {
        format!(
            "[[products]]\nid = \"{id}\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 100000\n"
        )
    };
    std::fs::write(file.path(), format!("{}{}", one("a"), one("b"))).expect("write");
    let system = running(file.path().to_str().expect("path")).await;
    let (services, api) = (&system.services, &system.api);
    let client = client();
    for number in 1..=5 {
        let url = format!("{api}/products/a/buy");
        assert_eq!(buy_at(&client, &url, &format!("buyer-{number}")).await.body["unit"], json!(number));
    }
    let (stop, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let (client, url) = (client.clone(), format!("{api}/products/b/buy"));
        let (stop, sold) = (stop.clone(), sold.clone());
        lanes.spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let answer = buy_at(&client, &url, &format!("{lane}-{number}")).await;
                assert_eq!(answer.body["status"], json!("SUCCESS"));
                sold.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut redis = services.redis().await;
    redis::cmd("DEL").arg(services.key("a", "sale")).exec_async(&mut redis).await.expect("DEL");
    let before = sold.load(Ordering::Relaxed);
    let again = eventually("a sells again", SOON, async || {
        let answer = buy_at(&client, &format!("{api}/products/a/buy"), "buyer-3").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!((&again.body["status"], &again.body["unit"]), (&json!("PURCHASED"), &json!(3)));
    assert!(sold.load(Ordering::Relaxed) > before, "b did not sell meanwhile");
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = lanes.join_next().await {
        ended.expect("every attempt at b succeeds");
    }
    let rows = i64::from(sold.load(Ordering::Relaxed)) + 5;
    eventually("all rows", SOON, async || {
        (services.count("SELECT count(*) FROM purchases").await == rows).then_some(())
    })
    .await;
    assert_eq!(services.depth("purchases.dead").await, 0);
}

/// A database that was restored, or made anew, knows an earlier epoch than Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_ahead_of_the_ledger_is_rebuilt() {
    let file = catalogue(50);
    let system = running(file.path().to_str().expect("path")).await;
    let (services, api) = (&system.services, &system.api);
    let client = client();
    assert_eq!(buy(&client, api, "buyer").await.body["unit"], json!(1));
    drained(services, 1).await;
    let mut redis = services.redis().await;
    let sale = services.key("limited-001", "sale");
    redis::cmd("HSET").arg(&sale).arg("epoch").arg(40).exec_async(&mut redis).await.expect("HSET");
    eventually("a later epoch", SOON, async || {
        (services.count("SELECT epoch FROM products").await > 40).then_some(())
    })
    .await;
    sells_again(&client, api, "buyer", 1).await;
}

/// Who has a unit is not known any more: nobody may be given one before it is.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_buyers_a_sale_is_not_sold_from() {
    let file = catalogue(50);
    let system = running(file.path().to_str().expect("path")).await;
    let (services, api) = (&system.services, &system.api);
    let client = client();
    for number in 1..=3 {
        assert_eq!(buy(&client, api, &format!("buyer-{number}")).await.body["unit"], json!(number));
    }
    drained(services, 3).await;
    let mut redis = services.redis().await;
    for plant in [None, Some("a text")] {
        let buyers = services.key("limited-001", "buyers");
        let mut taken = redis::pipe();
        taken.atomic().del(&buyers);
        if let Some(text) = plant {
            taken.set(&buyers, text);
        }
        taken.exec_async(&mut redis).await.expect("taken away");
        let refused = buy(&client, api, "buyer-1").await;
        assert_eq!(refused.status, 503, "{refused:?}");
        sells_again(&client, api, "buyer-1", 1).await;
        sells_again(&client, api, "buyer-3", 3).await;
    }
    assert_eq!(buy(&client, api, "buyer-4").await.body["unit"], json!(4));
    drained(services, 4).await;
}

/// Whoever asks why nothing is sold is told how far the rebuild is; here it can't drain, because a consumer stays that
/// may hold messages.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_how_far_a_rebuild_is() {
    let redis = own(servers::redis).await;
    let services = with_redis(redis.port).await;
    let (work, serve) = (services.spawn(&["work"], &[]), services.spawn(&["serve"], &[]));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let (channel, queue) = (services.channel().await, format!("{}.purchases", services.prefix));
    let (options, arguments) = Default::default();
    let stays = channel.basic_consume(queue.as_str().into(), "stays".into(), options, arguments).await;
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
    let step = "rebuilding, 3 of 5: purchases in queue and outbox are recorded";
    eventually(step, SOON, async || {
        let answer = get(&format!("{api}/readyz")).await;
        (answer.status == 503 && answer.body.to_string().contains(step)).then_some(())
    })
    .await;
    // RabbitMQ counts a consumer that was cancelled for as long as it holds a message.
    drop(stays.expect("a consumer"));
    channel.close(200, "it leaves".into()).await.expect("it leaves");
    ready(&api).await;
}

/// An operation raises the epoch, as `reconcile --fix` does. Until the leader rebuilds, every process learns that the
/// state in Redis is over: that is no outage of Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_raised_epoch_is_told_as_a_rebuild() {
    let file = catalogue(50);
    let (services, path) = (Services::new().await, file.path().to_str().expect("path"));
    let variables = [("FLASHSALE_PRODUCTS", path)];
    let (work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    assert_eq!(buy(&client(), &api, "buyer").await.body["unit"], json!(1));
    work.signal(rustix::process::Signal::STOP);
    eventually("the worker is stopped", SOON, async || is_stopped(work.id()).then_some(())).await;
    let raised = services.sql().await.execute("UPDATE products SET epoch = epoch + 1", &[]).await;
    assert_eq!(raised.expect("an epoch"), 1);
    let told = "the sale is not ready: its admission state is being rebuilt";
    for _ in 0..20 {
        let answer = eventually(told, SOON, async || {
            let answer = get(&format!("{api}/readyz")).await;
            (answer.status == 503).then_some(answer.body.to_string())
        })
        .await;
        assert!(answer.contains(told) && answer.contains("\"name\":\"redis\",\"ready\":true"), "{answer}");
        assert_eq!(buy(&client(), &api, "another").await.status, 503);
    }
    work.signal(rustix::process::Signal::CONT);
    sells_again(&client(), &api, "buyer", 1).await;
    for process in [&work, &serve] {
        assert!(!process.log().contains("lost redis"), "{}", process.log());
    }
}

/// A full Redis refuses attempts up front, without a trace, and what is settled makes room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_and_empties_itself() {
    let file = catalogue(50);
    let system = running(file.path().to_str().expect("path")).await;
    let (services, api, work) = (&system.services, &system.api, &system.work);
    let client = client();
    for number in 1..=3 {
        assert_eq!(buy(&client, api, &format!("buyer-{number}")).await.body["unit"], json!(number));
    }
    drained(services, 3).await;
    work.signal(rustix::process::Signal::STOP);
    assert_eq!(buy(&client, api, "in-flight").await.body["status"], json!("SUCCESS"));
    let mut redis = services.redis().await;
    let set = async |redis: &mut _, bytes: u64| {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .exec_async(redis)
            .await
            .expect("CONFIG SET");
    };
    set(&mut redis, 1).await;
    let keys = services.keys().await;
    let refused = buy(&client, api, "too-much").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body["outcome"].is_null(), "nothing happened: {refused:?}");
    assert_eq!(
        get(&format!("{api}/sale/purchase/status?userId=buyer-1")).await.status,
        200,
        "reading goes on"
    );
    assert_eq!((services.keys().await, outbox_len(services).await), (keys, 1));
    work.signal(rustix::process::Signal::CONT);
    drained(services, 4).await;
    set(&mut redis, 0).await;
    assert_eq!(buy(&client, api, "too-much").await.body["unit"], json!(5));
    drained(services, 5).await;
}

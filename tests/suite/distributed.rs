//! The distributed mode: separate processes on real Redis, RabbitMQ and PostgreSQL.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rustix::process::Signal;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Semaphore,
};

use crate::support::{
    SOON, eventually,
    http::{buy, client, get, ready, try_send},
    servers,
    services::Services,
};

pub(crate) const ID: &str = "limited-001";

/// Servers of a test's own, which it may stop and wipe.
pub(crate) struct Own {
    pub(crate) redis: servers::Server,
    pub(crate) rabbit: servers::Rabbit,
    pub(crate) postgres: servers::Server,
}

impl Own {
    pub(crate) async fn start() -> (Self, Services) {
        let starting = tokio::task::spawn_blocking(|| Self {
            redis: servers::redis(),
            rabbit: servers::rabbitmq(),
            postgres: servers::postgres(),
        });
        let own = starting.await.expect("servers");
        let services = Services::on(&own.database_url(), &own.redis_url(), &own.amqp_url()).await;
        (own, services)
    }

    fn database_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.postgres.port)
    }

    fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis.port)
    }

    fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.rabbit.node.port)
    }
}

pub(crate) fn catalogue(total_stock: u32) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("file");
    let text = format!(
        "[[products]]\nid = \"{ID}\"\nname = \"Thing\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {total_stock}"
    );
    std::fs::write(file.path(), text).expect("write");
    file
}

pub(crate) async fn outbox_len(services: &Services) -> i64 {
    outbox_len_of(services, ID).await
}

pub(crate) async fn outbox_len_of(services: &Services, product: &str) -> i64 {
    let mut connection = services.redis().await;
    redis::cmd("XLEN").arg(services.key(product, "outbox")).query_async(&mut connection).await.expect("XLEN")
}

/// Waits until everything that was admitted is in the ledger, and nothing is on its way.
pub(crate) async fn drained(services: &Services, rows: i64) {
    eventually("all rows are there", SOON, async || {
        (services.count("SELECT count(*) FROM purchases").await == rows).then_some(())
    })
    .await;
    eventually("outbox and queue are empty", SOON, async || {
        (outbox_len(services).await == 0 && services.depth("purchases").await == 0).then_some(())
    })
    .await;
    assert_eq!(services.depth("purchases.dead").await, 0);
}

/// The whole system under a stampede: two API processes, two workers, 5,000 attempts by 3,000 users for 500 units.
#[tokio::test(flavor = "multi_thread")]
async fn a_stampede_sells_every_unit_once() {
    const UNITS: u32 = 500;
    let (services, products) = (Services::new().await, catalogue(UNITS));
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let _workers = [services.spawn(&["work"], &variables), services.spawn(&["work"], &variables)];
    let serves = [services.spawn(&["serve"], &variables), services.spawn(&["serve"], &variables)];
    let mut apis = Vec::new();
    for serve in &serves {
        let api = serve.api().await;
        ready(&api).await;
        apis.push(api);
    }
    let (client, at_once) = (client(), Arc::new(Semaphore::new(500)));
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..5_000 {
        let (client, api, at_once) = (client.clone(), apis[number % 2].clone(), at_once.clone());
        attempts.spawn(async move {
            let _turn = at_once.acquire_owned().await.expect("turn");
            let user = format!("user-{}", number * 7 % 3_000);
            (user.clone(), buy(&client, &api, &user).await)
        });
    }
    let (mut won, mut units) = (std::collections::HashMap::new(), BTreeSet::new());
    let mut others = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        let (user, answer) = attempt.expect("attempt");
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.body["status"] == json!("SUCCESS") {
            assert!(units.insert(answer.body["unit"].as_u64().expect("unit")), "{answer:?}");
            assert!(won.insert(user, answer.body).is_none(), "a user won twice");
        } else {
            others.push((user, answer.body));
        }
    }
    assert_eq!(units, (1..=u64::from(UNITS)).collect());
    for (user, answer) in others {
        match answer["status"].as_str().expect("status") {
            "SOLD_OUT" => {}
            "PURCHASED" => assert_eq!(answer["purchaseId"], won[&user]["purchaseId"], "{user}"),
            other => panic!("{user}: {other}"),
        }
    }
    drained(&services, UNITS.into()).await;
    let rows = services.sql().await.query("SELECT user_id, unit, id::text FROM purchases", &[]).await;
    for row in rows.expect("rows") {
        let (user, unit, id): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((&won[&user]["unit"], &won[&user]["purchaseId"]), (&json!(unit), &json!(id)));
    }
}

/// One round trip to Redis, one message confirmed by the broker, no check-out of a pool, no access to the database.
#[tokio::test(flavor = "multi_thread")]
async fn the_hot_path_makes_one_round_trip_and_one_confirm() {
    const ATTEMPTS: u32 = 40;
    let (own, services) = Own::start().await;
    let mut work = services.spawn(&["work"], &[]);
    let patient =
        [("FLASHSALE_LEDGER_LOCK_TIMEOUT_MS", "600000"), ("FLASHSALE_LEDGER_STATEMENT_TIMEOUT_MS", "600000")];
    let serve = services.spawn(&["serve"], &patient);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    buy(&client, &api, "warm-up").await;
    drained(&services, 1).await;
    // Without a worker, what the attempts publish stays in the queue to be counted.
    work.signal(Signal::TERM);
    assert!(work.ended(SOON).await.success());
    assert_eq!(services.depth("purchases").await, 0, "what was recorded is acked");

    // Whoever asks the database for anything waits for longer than a client.
    let sql = services.sql().await;
    sql.batch_execute("BEGIN; LOCK TABLE products, purchases, revocations IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("lock");
    let monitored = TcpStream::connect(("127.0.0.1", own.redis.port)).await.expect("Redis");
    let (reader, mut writer) = monitored.into_split();
    writer.write_all(b"MONITOR\r\n").await.expect("MONITOR");
    let mut lines = BufReader::new(reader).lines();
    assert_eq!(lines.next_line().await.expect("line").as_deref(), Some("+OK"));
    for number in 0..ATTEMPTS {
        let answer = buy(&client, &api, &format!("user-{number}")).await;
        assert_eq!(answer.body["durability"], json!("broker"));
    }
    let mut marker = services.redis().await;
    redis::cmd("ECHO").arg("end-of-attempts").query_async::<String>(&mut marker).await.expect("ECHO");
    let (mut attempts, mut checks, mut others) = (0, 0, Vec::new());
    loop {
        let line = lines.next_line().await.expect("line").expect("more lines");
        if line.contains("end-of-attempts") {
            break;
        }
        let is = |command: &str| line.contains(&format!("\"{command}\""));
        // What a script calls is marked "lua"; a connection greets with CLIENT and HELLO.
        if line.contains(" lua] ") || is("CLIENT") || is("HELLO") {
            continue;
        }
        if line.contains("\"user-") {
            attempts += 1;
            assert!(is("EVALSHA"), "{line}");
        } else if ["INFO", "EVALSHA", "PING", "UNWATCH"].into_iter().any(is) {
            checks += 1;
        } else {
            others.push(line);
        }
    }
    assert_eq!(attempts, ATTEMPTS);
    assert!(others.is_empty(), "{others:?}");
    // Connections are checked once a second, and sales are read four times; heartbeats have a pool.
    assert!(checks < ATTEMPTS / 2, "{checks} checks for {ATTEMPTS} attempts");
    assert_eq!(services.depth("purchases").await, ATTEMPTS, "one message for each attempt that is alone");
    sql.batch_execute("COMMIT").await.expect("unlock");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_it_sells_from_redis_and_delivers_later() {
    let (mut own, services) = Own::start().await;
    let _work = services.spawn(&["work"], &[]);
    let serve = services.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "before").await.body["durability"], json!("broker"));
    drained(&services, 1).await;

    let stopped = tokio::task::spawn_blocking(move || {
        own.rabbit.node.stop();
        own
    });
    let mut own = stopped.await.expect("stopped");
    for number in 0..5 {
        let answer = buy(&client, &api, &format!("during-{number}")).await;
        assert_eq!(answer.body["status"], json!("SUCCESS"));
        assert_eq!(answer.body["durability"], json!("redis"));
        assert_eq!(answer.body["state"], json!("PENDING"));
    }
    let readiness = get(&format!("{api}/readyz")).await;
    assert_eq!(readiness.status, 200, "it can still sell: {readiness:?}");
    assert!(readiness.body.to_string().contains("\"name\":\"rabbitmq\",\"ready\":false"), "{readiness:?}");

    let own = tokio::task::spawn_blocking(move || {
        own.rabbit.node.start();
        own
    });
    let _own = own.await.expect("restart");
    drained(&services, 6).await;
    let outages = serve.log().lines().filter(|line| line.contains("lost rabbitmq")).count();
    assert_eq!(outages, 1, "an outage is logged once:\n{}", serve.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_emptied_in_mid_sale_is_rebuilt_and_sells_nothing_twice() {
    let (own, services) = Own::start().await;
    let products = catalogue(60);
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let _workers = [services.spawn(&["work"], &variables), services.spawn(&["work"], &variables)];
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    let mut bought = std::collections::HashMap::new();
    for number in 0..30 {
        let user = format!("before-{number}");
        bought.insert(user.clone(), buy(&client, &api, &user).await.body);
    }
    // At once, so that some of it is still on its way to the ledger.
    redis::cmd("FLUSHALL").query_async::<()>(&mut services.redis().await).await.expect("FLUSHALL");
    let refused = buy(&client, &api, "during").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.body["type"], json!("urn:flashsale:problem:not-ready"));
    assert!(refused.body["outcome"].is_null(), "nothing happened: {refused:?}");
    ready(&api).await;

    for (user, success) in &bought {
        let again = buy(&client, &api, user).await.body;
        assert_eq!(again["status"], json!("PURCHASED"), "{user}");
        assert_eq!((&again["purchaseId"], &again["unit"]), (&success["purchaseId"], &success["unit"]));
    }
    let mut units: BTreeSet<_> = bought.values().filter_map(|success| success["unit"].as_u64()).collect();
    for number in 0..30 {
        let answer = buy(&client, &api, &format!("after-{number}")).await.body;
        assert!(units.insert(answer["unit"].as_u64().expect("unit")), "{answer}");
    }
    assert_eq!(buy(&client, &api, "too-late").await.body["status"], json!("SOLD_OUT"));
    assert_eq!(units, (1..=60).collect());
    drained(&services, 60).await;
    drop(own);
}

/// A Redis that restarts may have lost what it had answered: it sells again only after a rebuild.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_redis_is_not_trusted_before_a_rebuild() {
    let (mut own, services) = Own::start().await;
    let _work = services.spawn(&["work"], &[]);
    let serve = services.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    let first = buy(&client, &api, "before").await.body;
    let epoch = services.count("SELECT epoch FROM products").await;
    let restarted = tokio::task::spawn_blocking(move || {
        own.redis.kill();
        own.redis.start();
        own
    });
    let _own = restarted.await.expect("restart");
    let answer = eventually("it sells again", SOON, async || {
        let answer = buy(&client, &api, "before").await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!((&answer["status"], &answer["purchaseId"]), (&json!("PURCHASED"), &first["purchaseId"]));
    assert!(services.count("SELECT epoch FROM products").await > epoch, "no rebuild took place");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_waits_for_its_services_and_says_so() {
    let nowhere = || format!("127.0.0.1:{}", servers::free_port());
    let services = Services {
        database_url: format!("postgres://shop:s3cret@{}/shop", nowhere()),
        redis_url: format!("redis://shop:s3cret@{}", nowhere()),
        amqp_url: format!("amqp://shop:s3cret@{}", nowhere()),
        prefix: "nowhere".to_owned(),
    };
    let mut serve = services.spawn(&["serve"], &[]);
    let mut work = services.spawn(&["work"], &[]);
    let mut web = services.spawn(&["web"], &[]);
    for (process, base) in [(&serve, serve.api().await), (&work, work.health().await)] {
        for service in ["redis", "rabbitmq", "postgresql"] {
            process.logs(&format!("waiting for {service}: ")).await;
        }
        let readiness = get(&format!("{base}/readyz")).await;
        assert_eq!((readiness.status, readiness.header("retry-after")), (503, "1"));
        assert_eq!(readiness.header("content-type"), "application/problem+json");
        assert!(readiness.body["detail"].as_str().is_some_and(|detail| detail.contains("redis")));
        for dependency in readiness.body["dependencies"].as_array().expect("list") {
            assert!(dependency["ready"] == json!(true) || dependency["reason"].is_string(), "{dependency}");
        }
    }
    let refused = buy(&client(), &serve.api().await, "anyone").await;
    assert_eq!(refused.status, 503);
    let page = get(&format!("{}/products/{ID}", web.shop().await)).await;
    assert_eq!(page.status, 503);
    for process in [&mut serve, &mut work, &mut web] {
        process.signal(Signal::TERM);
        assert_eq!(process.ended(Duration::from_secs(10)).await.code(), Some(0));
        assert!(!process.log().contains("s3cret"), "a password was logged:\n{}", process.log());
    }
}

/// `web` does not migrate: until somebody has, it waits, and its log says for whom.
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_start_first_wait_for_the_tables_and_say_who_creates_them() {
    let services = Services::new().await;
    let web = services.spawn(&["web"], &[]);
    web.logs("waiting for postgresql: its tables are missing").await;
    let _work = services.spawn(&["work"], &[]);
    web.logs("postgresql is up, after").await;
    assert!(!web.log().contains("lost postgresql"), "it never had it:\n{}", web.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_under_load_nothing_that_was_answered_is_lost() {
    let services = Services::new().await;
    let mut work = services.spawn(&["work"], &[]);
    let mut serve = services.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for lane in 0..16 {
        let (client, url, sender) = (client.clone(), format!("{api}/sale/buy"), sender.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let request = client.post(&url).json(&json!({"userId": format!("user-{lane}-{number}")}));
                let Some(answer) = try_send(request).await else { return };
                if answer.body["status"] == json!("SUCCESS") && sender.send(answer.body).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut answered = Vec::new();
    for _ in 0..300 {
        answered.push(receiver.recv().await.expect("a purchase"));
    }
    serve.signal(Signal::TERM);
    work.signal(Signal::INT);
    assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0));
    assert_eq!(work.ended(Duration::from_secs(10)).await.code(), Some(0));
    while let Some(answer) = receiver.recv().await {
        answered.push(answer);
    }
    let _work = services.spawn(&["work"], &[]);
    eventually("the outbox is empty", SOON, async || (outbox_len(&services).await == 0).then_some(())).await;
    let rows = services.sql().await.query("SELECT id::text FROM purchases", &[]).await.expect("rows");
    let rows: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for answer in &answered {
        assert!(rows.contains(answer["purchaseId"].as_str().expect("id")), "{answer} is lost");
    }
}

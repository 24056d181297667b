//! Two systems are given one RabbitMQ and one prefix. Each has a Redis, a database and buyers of its own.

use crate::{
    distributed::catalogue,
    support::{
        SOON, eventually,
        http::{get, ready},
        process::Flashsale,
        sale::{Sale, now},
        servers,
        services::Services,
        stage::{Stage, own},
    },
};

const ROWS: &str = "SELECT count(*) FROM purchases";

/// A place with its own database, on this Redis and RabbitMQ.
async fn place(redis: u16, amqp: &str) -> Services {
    let redis = format!("redis://127.0.0.1:{redis}");
    Services::on(&Services::urls().database, &redis, amqp).await
}

/// Waits until the process says that it is refused, in its log and at /readyz.
async fn refused(process: &Flashsale, base: &str) {
    process.logs("another flashsale system uses the prefix").await;
    eventually("readiness says so", SOON, async || {
        let answer = get(&format!("{base}/readyz")).await;
        answer.body.to_string().contains("another flashsale system uses it").then_some(())
    })
    .await;
}

async fn ends(mut process: Flashsale) {
    process.signal(rustix::process::Signal::TERM);
    assert!(process.ended(SOON).await.success(), "{}", process.log());
}

/// Waits until so many more rows are in the ledger.
async fn sells_on(stage: &Stage, more: u32) {
    let sold = stage.services.count(ROWS).await;
    stage.sold(u32::try_from(sold).expect("few") + more).await;
}

/// A new system sells nothing: its admission is never opened. With a prefix of its own, everyone who was refused buys.
#[tokio::test(flavor = "multi_thread")]
async fn is_refused_to_the_second_system() {
    let stage = Stage::open(Services::new().await).await;
    let (start, redis) = (now(), own(servers::redis).await);
    let mut second = place(redis.port, &Services::urls().amqp).await;
    let own_prefix = std::mem::replace(&mut second.prefix, stage.services.prefix.clone());
    let file = catalogue(20);
    let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (work, serve) = (second.spawn(&["work"], &products), second.spawn(&["serve"], &products));
    refused(&work, &work.health().await).await;
    let api = serve.api().await;
    refused(&serve, &api).await;
    let sale = Sale::new();
    sale.at(&[&api]);
    let mut buyers = sale.open(40);
    let asked = sale.answered();
    eventually("buyers are refused at the second system", SOON, async || {
        (sale.answered() > asked + 100).then_some(())
    })
    .await;
    sells_on(&stage, 50).await;
    stage.sale.fault("second-system", start, true, false);
    assert_eq!(sale.tally().broker + sale.tally().redis, 0, "the second system has sold");
    assert_eq!(second.count(ROWS).await, 0, "it has recorded foreign purchases");
    assert_eq!(
        second.keys().await.iter().filter(|key| key.contains("{limited-001}")).count(),
        0,
        "it was opened"
    );
    assert_eq!(second.count("SELECT epoch FROM products").await, 0, "its leader has begun a rebuild");

    for process in [work, serve] {
        ends(process).await;
    }
    second.prefix = own_prefix;
    let change = second.spawn(&["migrate", "--change-prefix"], &products).ended(SOON).await;
    assert!(change.success());
    let _work = second.spawn(&["work"], &products);
    let serve = second.spawn(&["serve"], &products);
    let api = serve.api().await;
    ready(&api).await;
    sale.at(&[&api]);
    sale.release();
    assert!(buyers.done(SOON * 2).await, "{}", serve.log());
    sale.holds(&second, products[0].1).await;
    assert_eq!(second.count(ROWS).await, 20);
    stage.holds().await;
}

/// A system that has sold goes on selling, with durability `redis`, and is back with a RabbitMQ of its own.
#[tokio::test(flavor = "multi_thread")]
async fn is_refused_to_a_system_in_the_middle_of_its_sale() {
    let stage = Stage::open(Services::new().await).await;
    let (redis, rabbit) = (own(servers::redis).await, own(servers::rabbitmq).await);
    let own_amqp = format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port);
    let mut services = place(redis.port, &own_amqp).await;
    services.prefix.clone_from(&stage.services.prefix);
    let mut second = Stage::open(services).await;

    let start = now();
    second.services.amqp_url = Services::urls().amqp;
    restart(&mut second).await;
    refused(&second.work, &second.work.health().await).await;
    refused(&second.serve, &second.api).await;
    let (rows, kept) = (second.services.count(ROWS).await, second.sale.tally().redis);
    eventually("it goes on selling", SOON, async || (second.sale.tally().redis >= kept + 20).then_some(()))
        .await;
    sells_on(&stage, 50).await;
    assert_eq!(second.services.count(ROWS).await, rows, "what it sells can't be recorded now");
    second.services.amqp_url = own_amqp;
    restart(&mut second).await;
    ready(&second.api).await;
    for stage in [stage, second] {
        stage.sale.fault("shared-broker", start, true, false);
        stage.holds().await;
    }
}

/// Ends both processes in order, and starts them where the services are now.
async fn restart(stage: &mut Stage) {
    for command in ["work", "serve"] {
        let next = stage.spawn(command);
        let process = if command == "work" { &mut stage.work } else { &mut stage.serve };
        ends(std::mem::replace(process, next)).await;
    }
    stage.api = stage.serve.api().await;
    stage.sale.at(&[&stage.api]);
}

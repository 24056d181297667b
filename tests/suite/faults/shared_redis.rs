//! Two systems are given one Redis and one prefix, and a RabbitMQ and a database each.

use crate::support::{
    SOON, eventually,
    http::{buy, client, get, ready},
    sale::now,
    servers,
    services::Services,
    stage::{Stage, own, with_redis},
};

const TOLD: &str = "another flashsale system uses it under the same prefix";

async fn is_told(base: &str) {
    eventually("readiness says so", SOON, async || {
        let answer = get(&format!("{base}/readyz")).await;
        (answer.status == 503 && answer.body.to_string().contains(TOLD)).then_some(())
    })
    .await;
}

async fn epoch(services: &Services) -> i64 {
    services.count("SELECT max(epoch) FROM products").await
}

/// It sells nothing and rebuilds nothing, until the keys of the first one are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn is_refused_to_the_second_system() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let (start, rabbit) = (now(), own(servers::rabbitmq).await);
    let amqp_url = format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port);
    let mut second = Services::on(&Services::urls().database, &stage.services.redis_url, &amqp_url).await;
    second.prefix.clone_from(&stage.services.prefix);
    let products = tempfile::NamedTempFile::new().expect("file");
    std::fs::copy(stage.products(), products.path()).expect("copy");
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let before = epoch(&stage.services).await;
    let (work, serve) = (second.spawn(&["work"], &variables), second.spawn(&["serve"], &variables));
    let api = serve.api().await;
    is_told(&work.health().await).await;
    is_told(&api).await;
    assert_eq!(buy(&client(), &api, "of-the-second").await.status, 503);
    let sold = stage.services.count("SELECT count(*) FROM purchases").await;
    stage.sold(u32::try_from(sold).expect("few") + 50).await;
    is_told(&api).await;
    assert_eq!(epoch(&stage.services).await, before, "the first system was rebuilt");
    assert_eq!(epoch(&second).await, 0, "the second system has begun a rebuild");
    for process in [&work, &serve] {
        let log = process.log();
        let told = log.lines().filter(|line| line.contains("redis: ") && line.contains(TOLD)).count();
        assert_eq!(told, 1, "{log}");
    }
    stage.sale.fault("second-system-on-redis", start, true, false);
    stage.holds().await;
    // The first system is gone for good.
    let mut operator = second.redis().await;
    for key in second.keys().await {
        redis::cmd("UNLINK").arg(&key).exec_async(&mut operator).await.expect("UNLINK");
    }
    ready(&api).await;
    let answer = buy(&client(), &api, "of-the-second").await;
    assert_eq!((answer.status, &answer.body["unit"]), (200, &serde_json::json!(1)));
    serve.logs("redis is up, after").await;
}

//! Two systems are given one RabbitMQ and one prefix.

use crate::support::{
    SOON, eventually,
    http::get,
    sale::now,
    servers,
    services::Services,
    stage::{Stage, own},
};

#[tokio::test(flavor = "multi_thread")]
async fn is_refused_to_the_second_system() {
    let stage = Stage::open(Services::new().await).await;
    let (start, redis) = (now(), own(servers::redis).await);
    let shared = Services::urls();
    let redis_url = format!("redis://127.0.0.1:{}", redis.port);
    let mut second = Services::on(&shared.database, &redis_url, &shared.amqp).await;
    second.prefix.clone_from(&stage.services.prefix);
    let work = second.spawn(&["work"], &[("FLASHSALE_PRODUCTS", stage.products())]);
    work.logs("another flashsale system uses the prefix").await;
    let health = work.health().await;
    eventually("readiness says so", SOON, async || {
        let answer = get(&format!("{health}/readyz")).await;
        let is_told = answer.body.to_string().contains("another flashsale system uses it");
        (answer.status == 503 && is_told).then_some(())
    })
    .await;
    let sold = stage.services.count("SELECT count(*) FROM purchases").await;
    stage.sold(u32::try_from(sold).expect("few") + 50).await;
    stage.sale.fault("second-system", start, true, false);
    assert_eq!(second.count("SELECT count(*) FROM purchases").await, 0, "it has recorded foreign purchases");
    stage.holds().await;
    assert_eq!(second.count("SELECT count(*) FROM purchases").await, 0, "it has recorded foreign purchases");
}

//! A replica of Redis is promoted while the former primary lives on, and an API process keeps its connection to it.

use flashsale::audit::AttemptKind;

use super::redis::{epoch, is_rebuilt};
use crate::support::{
    SOON, eventually,
    http::{get, ready},
    proxy::Link,
    replicated::Replicated,
    sale::now,
    stage::{Stage, UNITS, with_redis},
};

/// Purchases from the old side that are enough to show that it sells.
const SOLD_BY_OLD_SIDE: u32 = 20;

/// Enough for the replica to lag visibly, however much was sold before.
async fn sells_on(stage: &Stage) {
    let recorded = stage.services.count("SELECT count(*) FROM purchases").await;
    stage.sold(u32::try_from(recorded).expect("few") + UNITS / 8).await;
}

/// A worker of the old side takes part: it shares the queue with the workers of the other side.
///
/// The old side goes on selling from its own state. None of its answers claims `broker` for a purchase that the rebuild
/// has not recorded, and it stops selling by itself.
#[tokio::test(flavor = "multi_thread")]
async fn of_redis_makes_no_false_promise() {
    let redis = Replicated::start().await;
    let stage = Stage::open(with_redis(redis.to_clients.port).await).await;
    let services = &stage.services;
    let direct = format!("redis://127.0.0.1:{}", redis.primary.port);
    let old_side = services.elsewhere(&[services.database_url.clone(), direct, services.amqp_url.clone()]);
    let old = old_side.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", stage.products())]);
    let old_api = old.api().await;
    ready(&old_api).await;
    let old_work = old_side.spawn(&["work"], &[("FLASHSALE_PRODUCTS", stage.products())]);
    ready(&old_work.health().await).await;
    stage.sale.at(&[&stage.api, &old_api]);
    redis.lags().await;
    sells_on(&stage).await;
    redis.has_fallen_behind().await;
    let (start, epoch) = (now(), epoch(&stage).await);
    redis.to_clients.set(Link::Refuse);
    stage.not_ready().await;
    redis.promote_replica().await;
    redis.to_clients.set(Link::Pass);
    // From here on the old side sells units that the other side sells too.
    stage.sale.at(&[&old_api]);
    let mut sold = 0;
    for number in 0..SOLD_BY_OLD_SIDE {
        let answer = stage.sale.buy(&format!("old-side-{number}")).await;
        sold += u32::from(answer.is_some_and(|answer| answer.durability.is_some()));
    }
    is_rebuilt(&stage, epoch).await;
    eventually("the old side stops selling", SOON, async || {
        let user = format!("old-side-late-{}", fastrand::u64(..));
        (stage.sale.attempt_by(&user).await == AttemptKind::Refused).then_some(())
    })
    .await;
    stage.sale.at(&[&stage.api]);
    ready(&stage.api).await;
    stage.sale.fault("redis-split-brain", start, sold > 0, true);
    stage.holds().await;
    drop(old_work);
}

/// A worker on the old side, alone there, learns from the ledger that its Redis is left behind, and does not lead or
/// settle there.
#[tokio::test(flavor = "multi_thread")]
async fn of_redis_is_noticed_by_a_worker_on_the_old_side() {
    let redis = Replicated::start().await;
    let stage = Stage::open(with_redis(redis.to_clients.port).await).await;
    let services = &stage.services;
    let direct = format!("redis://127.0.0.1:{}", redis.primary.port);
    let old_side = services.elsewhere(&[services.database_url.clone(), direct, services.amqp_url.clone()]);
    let old_work = old_side.spawn(&["work"], &[("FLASHSALE_PRODUCTS", stage.products())]);
    let health = old_work.health().await;
    ready(&health).await;
    redis.lags().await;
    sells_on(&stage).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    redis.to_clients.set(Link::Refuse);
    stage.not_ready().await;
    redis.promote_replica().await;
    redis.to_clients.set(Link::Pass);
    is_rebuilt(&stage, epoch).await;
    old_work.logs("the server has a state that was rolled back").await;
    eventually("its sale is not ready", SOON, async || {
        let body = get(&format!("{health}/readyz")).await.body.to_string();
        body.contains("its admission state is being rebuilt").then_some(())
    })
    .await;
    ready(&stage.api).await;
    stage.sale.fault("redis-split-brain", start, true, true);
    stage.holds().await;
}

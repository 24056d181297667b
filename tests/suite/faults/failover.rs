//! Redis changes its primary while the old one lives on, goes back, loses a part, or has a wrong clock.

use flashsale::audit::AttemptKind;
use rustix::process::Signal;

use super::redis::{epoch, is_rebuilt};
use crate::{
    distributed::outbox_len,
    support::{
        SOON, eventually,
        http::ready,
        process::is_stopped,
        proxy::{Link, Proxy},
        replicated::{Replicated, command, connection, field, follow, number, promote},
        sale::now,
        servers,
        services::Services,
        stage::{Stage, UNITS, own, port_of, with_redis},
    },
};

fn outages(log: &str) -> usize {
    log.matches("lost redis").count()
}

/// An orderly failover: nothing is lost, and the former primary lives on, as a replica, with all its connections.
#[tokio::test(flavor = "multi_thread")]
async fn in_order_sells_again_by_itself() {
    let redis = Replicated::start().await;
    let stage = Stage::open(with_redis(redis.to_clients.port).await).await;
    let start = now();
    redis.fail_over().await;
    redis.to_clients.lead_to(redis.replica.port);
    eventually("an attempt is answered", SOON, async || {
        (stage.sale.attempt_by("first-after-failover").await == AttemptKind::Ok).then_some(())
    })
    .await;
    let mut former = redis.at_primary().await;
    assert_eq!(field(&mut former, "role:").await, "slave", "the former primary does not live on");
    assert!(number(&mut former, "connected_clients:").await > 0);
    for process in [&stage.serve, &stage.work] {
        assert_eq!(outages(&process.log()), 1, "{}", process.log());
    }
    ready(&stage.api).await;
    stage.sale.fault("redis-orderly-failover", start, true, true);
    stage.holds().await;
}

/// A primary becomes the replica of a server that lacks its last admissions, and is promoted again. Its process is the
/// same. Nobody leads meanwhile: the API must find out by itself.
#[tokio::test(flavor = "multi_thread")]
async fn and_back_is_recognised_before_anything_is_sold() {
    let redis = Replicated::start().await;
    let stage = Stage::open(with_redis(redis.to_clients.port).await).await;
    redis.lags().await;
    stage.sold(UNITS / 3).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    redis.has_fallen_behind().await;
    stage.work.signal(Signal::STOP);
    eventually("the worker is stopped", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    let mut primary = redis.at_primary().await;
    let run_id = field(&mut primary, "run_id:").await;
    promote(&mut redis.at_replica().await).await;
    follow(&mut primary, redis.replica.port).await;
    promote(&mut primary).await;
    assert_eq!(field(&mut primary, "run_id:").await, run_id, "the process is another one");
    assert_eq!(field(&mut primary, "role:").await, "master");
    for number in 0..50 {
        let kind = stage.sale.attempt_by(&format!("after-failback-{number}")).await;
        assert_ne!(kind, AttemptKind::Ok, "attempt {number} found a unit in the state of another history");
    }
    stage.work.signal(Signal::CONT);
    is_rebuilt(&stage, epoch).await;
    stage.sale.fault("redis-failback", start, true, true);
    stage.holds().await;
}

/// The outbox alone is lost, while it has purchases that no worker has recorded.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_alone_is_lost() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    stage.work.signal(Signal::STOP);
    eventually("the worker is stopped", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    eventually("a purchase waits in the outbox", SOON, async || {
        stage.sale.attempt_by("waits").await;
        (outbox_len(&stage.services).await > 5).then_some(())
    })
    .await;
    let mut operator = connection(redis.port).await;
    let key = stage.services.key("limited-001", "outbox");
    command(&mut operator, &["UNLINK", &key]).await;
    let url = format!("{}/sale/purchase/status?userId=waits", stage.api);
    let answer = crate::support::http::get(&url).await;
    assert_eq!(answer.status, 503, "of a purchase that may not be recorded: {:?}", answer.body);
    stage.work.signal(Signal::CONT);
    is_rebuilt(&stage, epoch).await;
    stage.sale.fault("redis-outbox-lost", start, true, false);
    stage.holds().await;
}

/// A Redis that may evict keys by itself sells nothing.
#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_evicted() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    stage.readiness("not ready", |status, _| status == 503).await;
    stage.serve.logs("maxmemory-policy is allkeys-lru").await;
    eventually("an attempt is refused", SOON, async || {
        (stage.sale.attempt_by("refused").await == AttemptKind::Refused).then_some(())
    })
    .await;
    command(&mut operator, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    ready(&stage.api).await;
    stage.sale.fault("redis-may-evict", start, true, false);
    stage.holds().await;
}

/// Redis' clock was ten minutes ahead, and is right again: what was admitted meanwhile has a time of the future, and
/// only the outbox has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_was_ahead() {
    let shared = Services::urls();
    let (redis, broker) = (own(servers::redis).await, Proxy::to(port_of(&shared.amqp)).await);
    let (redis_url, amqp_url) = (
        format!("redis://127.0.0.1:{}", redis.port),
        format!("amqp://guest:guest@127.0.0.1:{}", broker.port),
    );
    let stage = Stage::open(Services::on(&shared.database, &redis_url, &amqp_url).await).await;
    let start = now();
    broker.set(Link::Refuse);
    let mut operator = connection(redis.port).await;
    let (key, future) = (stage.services.key("limited-001", "outbox"), format!("{}-0", now() + 600_000));
    // The ids of a stream only rise.
    command(&mut operator, &["XADD", &key, &future, "planted", "1"]).await;
    command(&mut operator, &["XDEL", &key, &future]).await;
    let mut in_redis_alone = 0;
    while in_redis_alone < 20 {
        let answer = stage.sale.buy(&format!("ahead-{in_redis_alone}")).await.expect("an answer");
        in_redis_alone += u32::from(answer.durability.as_deref() == Some("redis"));
    }
    stage.serve.signal(Signal::KILL);
    let serve = stage.spawn("serve");
    stage.sale.at(&[&serve.api().await]);
    broker.set(Link::Pass);
    eventually("what was admitted is recorded", SOON, async || {
        let rows = "SELECT count(*) FROM purchases WHERE user_id LIKE 'ahead-%'";
        (stage.services.count(rows).await == 20).then_some(())
    })
    .await;
    stage.work.logs("ahead of admission's clock").await;
    stage.sale.fault("redis-clock-ahead", start, true, false);
    stage.holds().await;
}

//! Redis dies, loses data, or does not answer.

use std::time::Duration;

use flashsale::audit::AttemptKind;
use rustix::process::Signal;

use crate::support::{
    SOON, eventually,
    http::ready,
    proxy::{Link, Proxy},
    replicated::{Replicated, command, connection, number},
    sale::now,
    servers::{self, Server},
    services::Services,
    stage::{Stage, UNITS, blocking, lasts, own, port_of, restarted, with_redis},
};

async fn is_killed_and_restarted(options: &'static [&'static str]) {
    let redis = own(|| servers::redis_with(options)).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let redis = blocking(redis, Server::kill).await;
    stage.not_ready().await;
    let _redis = restarted(redis).await;
    stage.sale.fault("redis-kill", start, true, false);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_killed_and_restarted_with_an_aof_every_second() {
    is_killed_and_restarted(&["--appendfsync", "everysec"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_killed_and_restarted_with_an_aof_always() {
    is_killed_and_restarted(&["--appendfsync", "always"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_wiped() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let redis = blocking(redis, |redis| {
        redis.kill();
        redis.wipe();
    })
    .await;
    stage.not_ready().await;
    let _redis = restarted(redis).await;
    stage.sale.fault("redis-wipe", start, true, true);
    stage.holds().await;
}

/// RabbitMQ can't be reached, and what was sold meanwhile is only in Redis, which is wiped. The API process that answered
/// SUCCESS still knows.
#[tokio::test(flavor = "multi_thread")]
async fn is_wiped_during_an_outage_of_rabbitmq() {
    let redis = own(servers::redis).await;
    let shared = Services::urls();
    let proxy = Proxy::to(port_of(&shared.amqp)).await;
    let (redis_url, amqp_url) =
        (format!("redis://127.0.0.1:{}", redis.port), format!("amqp://guest:guest@127.0.0.1:{}", proxy.port));
    let stage = Stage::open(Services::on(&shared.database, &redis_url, &amqp_url).await).await;
    let start = now();
    proxy.set(Link::Refuse);
    let mut in_redis_alone = Vec::new();
    while in_redis_alone.len() < 20 {
        let answer = stage.sale.buy(&format!("during-{}", in_redis_alone.len())).await.expect("an answer");
        if answer.durability.as_deref() == Some("redis") {
            in_redis_alone.push(answer);
        }
    }
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["FLUSHALL"]).await;
    stage.not_ready().await;
    proxy.set(Link::Pass);
    stage.sale.fault("redis-wipe-without-rabbitmq", start, true, true);
    stage.holds().await;
}

/// The answer of Redis to an attempt is lost, and with it the attempt's publish. The buyer asks again, is told of the
/// purchase, and from then on it is as safe as a SUCCESS, though no sweeper has sent it.
#[tokio::test(flavor = "multi_thread")]
async fn is_wiped_after_a_repeated_attempt_was_answered() {
    let redis = own(servers::redis).await;
    let proxy = Proxy::to(redis.port).await;
    let stage = Stage::open(with_redis(proxy.port).await).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    stage.work.signal(Signal::STOP);
    let mut tries = 0;
    let (user, told) = loop {
        let user = format!("asks-again-{tries}");
        proxy.set(Link::CutAnswers);
        stage.sale.attempt_by(&user).await;
        proxy.set(Link::Pass);
        ready(&stage.api).await;
        let answer = stage.sale.buy(&user).await.expect("an answer");
        if answer.status.as_deref() == Some("PURCHASED") {
            break (user, answer);
        }
        tries += 1;
        assert!(tries < 50, "no answer was lost after its purchase was made");
    };
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["FLUSHALL"]).await;
    stage.work.signal(Signal::CONT);
    is_rebuilt(&stage, epoch).await;
    let again = eventually("it sells again", SOON, async || stage.sale.buy(&user).await).await;
    assert_eq!(again.purchase_id, told.purchase_id, "the purchase that the buyer was told of is gone");
    stage.sale.fault("redis-wipe-after-replay", start, true, true);
    stage.holds().await;
}

/// It comes back as it was some sales before.
#[tokio::test(flavor = "multi_thread")]
async fn is_rolled_back() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let before = tempfile::tempdir().expect("dir");
    let (saved, restored) = (before.path().to_owned(), before.path().to_owned());
    let redis = blocking(redis, move |redis| redis.save_to(&saved)).await;
    stage.sold(UNITS / 2).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    let redis = blocking(redis, move |redis| {
        redis.kill();
        redis.wipe();
        redis.restore_from(&restored);
    })
    .await;
    let _redis = restarted(redis).await;
    is_rebuilt(&stage, epoch).await;
    stage.sale.fault("redis-rollback", start, true, true);
    stage.holds().await;
}

/// A replica that has missed some sales takes over.
#[tokio::test(flavor = "multi_thread")]
async fn is_failed_over_to_a_lagging_replica() {
    let mut redis = Replicated::start().await;
    let stage = Stage::open(with_redis(redis.to_clients.port).await).await;
    redis.lags().await;
    stage.sold(UNITS / 2).await;
    let (start, epoch) = (now(), epoch(&stage).await);
    redis.has_fallen_behind().await;
    redis.primary = blocking(redis.primary, Server::kill).await;
    stage.not_ready().await;
    redis.promote_replica().await;
    is_rebuilt(&stage, epoch).await;
    stage.sale.fault("redis-failover", start, true, true);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_stopped_for_ten_seconds() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    redis.signal(Signal::STOP);
    stage.not_ready().await;
    lasts(Duration::from_secs(10)).await;
    redis.signal(Signal::CONT);
    stage.sale.fault("redis-stop", start, true, false);
    stage.holds().await;
}

/// Bytes go nowhere, then answers are lost, then connections are refused; each outage is noticed, and none costs a
/// purchase.
#[tokio::test(flavor = "multi_thread")]
async fn has_a_damaged_link() {
    let proxy = Proxy::to(port_of(&Services::urls().redis)).await;
    let stage = Stage::open(with_redis(proxy.port).await).await;
    for link in [Link::Blackhole, Link::CutAnswers, Link::Refuse] {
        let (start, before) = (now(), proxy.damage());
        proxy.set(link);
        stage.not_ready().await;
        proxy.set(Link::Pass);
        ready(&stage.api).await;
        stage.sale.fault(&format!("redis-link-{link:?}"), start, proxy.damage() > before, false);
    }
    stage.holds().await;
}

/// Connections that are dead without a word are replaced within seconds, while new ones work.
#[tokio::test(flavor = "multi_thread")]
async fn has_connections_that_lead_nowhere() {
    let proxy = Proxy::to(port_of(&Services::urls().redis)).await;
    let stage = Stage::open(with_redis(proxy.port).await).await;
    let start = now();
    proxy.set(Link::Strand);
    eventually("connections are replaced", Duration::from_secs(5), async || {
        let answer = stage.sale.buy("persistent").await;
        answer.map(|answer| assert!(answer.status.is_some()))
    })
    .await;
    stage.sale.fault("redis-connections-stranded", start, proxy.damage() > 0, false);
    stage.holds().await;
}

/// A replica without its primary refuses whatever writes.
#[tokio::test(flavor = "multi_thread")]
async fn is_read_only() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let (start, nowhere) = (now(), servers::free_port().to_string());
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["REPLICAOF", "127.0.0.1", &nowhere]).await;
    is_refused(&stage).await;
    command(&mut operator, &["REPLICAOF", "NO", "ONE"]).await;
    stage.sale.fault("redis-read-only", start, true, false);
    stage.holds().await;
}

/// Redis refuses writes when it was told to save to disk, and can't.
#[tokio::test(flavor = "multi_thread")]
async fn can_not_save_to_disk() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    // A folder in the place of its file.
    std::fs::create_dir(redis.dir().join("dump.rdb")).expect("folder");
    let mut operator = connection(redis.port).await;
    command(&mut operator, &["CONFIG", "SET", "save", "3600 1000000"]).await;
    command(&mut operator, &["BGSAVE"]).await;
    is_refused(&stage).await;
    command(&mut operator, &["CONFIG", "SET", "save", ""]).await;
    stage.sale.fault("redis-misconf", start, true, false);
    stage.holds().await;
}

/// While Redis reads its data it answers LOADING, here for some seconds.
#[tokio::test(flavor = "multi_thread")]
async fn is_loading() {
    let redis = own(|| servers::redis_with(&["--aof-use-rdb-preamble", "no"])).await;
    let proxy = Proxy::to(redis.port).await;
    let stage = Stage::open(with_redis(proxy.port).await).await;
    let (start, port) = (now(), redis.port);
    // As if its data were larger: more keys, and it takes time for each.
    let mut filler = redis::pipe();
    for number in 0..20_000 {
        filler.set(format!("filler-{number}"), number);
    }
    filler.exec_async(&mut stage.services.redis().await).await.expect("filler");
    let slow = blocking(redis, |redis| {
        redis.kill();
        redis.start_with(&["--key-load-delay", "200"]);
    });
    let loading = async {
        eventually("it is loading", SOON, async || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("URL");
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let ping = redis::cmd("PING").query_async::<String>(&mut connection).await;
            ping.is_err_and(|error| error.code() == Some("LOADING")).then_some(())
        })
        .await;
        stage.not_ready().await;
    };
    let (_redis, ()) = tokio::join!(slow, loading);
    stage.sale.fault("redis-loading", start, true, false);
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgets_its_scripts() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let start = now();
    let mut operator = connection(redis.port).await;
    let cached = async |operator: &mut _| number(operator, "number_of_cached_scripts:").await;
    let before = cached(&mut operator).await;
    command(&mut operator, &["SCRIPT", "FLUSH"]).await;
    stage.sale.fault("script-flush", start, before > 0, false);
    stage.holds().await;
}

pub(super) async fn epoch(stage: &Stage) -> i64 {
    stage.services.count("SELECT epoch FROM products").await
}

/// Waits until the epoch is above this one.
pub(super) async fn is_rebuilt(stage: &Stage, epoch: i64) {
    eventually("a rebuild", SOON, async || (self::epoch(stage).await > epoch).then_some(())).await;
}

/// Waits until an attempt is refused without effect.
async fn is_refused(stage: &Stage) {
    eventually("an attempt is refused", SOON, async || {
        (stage.sale.attempt_by("persistent").await == AttemptKind::Refused).then_some(())
    })
    .await;
}

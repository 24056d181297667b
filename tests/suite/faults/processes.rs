//! Our own processes are frozen, have a wrong clock, or are told to end, in the middle of a sale. (Where they die:
//! `crashes.rs`.)

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    SOON, eventually,
    http::{client, ready},
    process::is_stopped,
    sale::now,
    servers,
    services::Services,
    stage::{Stage, lasts, own, with_redis},
};

/// The worker, then the API, is frozen for some seconds, and goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn are_stopped_and_continued() {
    let stage = Stage::open(Services::new().await).await;
    let second = stage.spawn("serve");
    let second_api = second.api().await;
    ready(&second_api).await;
    stage.sale.at(&[&stage.api, &second_api]);
    for (name, process) in [("work-stop", &stage.work), ("serve-stop", &stage.serve)] {
        let start = now();
        process.signal(Signal::STOP);
        lasts(Duration::from_secs(4)).await;
        let frozen = is_stopped(process.id());
        process.signal(Signal::CONT);
        stage.sale.fault(name, start, frozen, false);
    }
    stage.holds().await;
}

/// The backend that holds the leader's lock (`0x666c_6173_6802`; PostgreSQL shows its halves) in this database.
const LEADER: &str = "FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 26220
    AND objid = 1634953218 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The leader is frozen in the middle of a sweep, with entries in its hands, and its connection to the database ends;
/// another one leads for half a minute; then the first one goes on where it was, as if it still led.
#[tokio::test(flavor = "multi_thread")]
async fn lead_two_at_a_time() {
    // Messages wait in the worker's hands until the sweeper sends them again, in every round.
    let sweeping = [("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "100"), ("FLASHSALE_WORKER_LINGER_MS", "900")];
    // RabbitMQ would end the connection of one that is silent for two heartbeats.
    let patient = ("FLASHSALE_BROKER_HEARTBEAT_S", "60");
    let frozen = [&sweeping[..], &[patient, ("FLASHSALE_CRASH", "sweeper-after-read@8:stop")]].concat();
    let stage = Stage::open_with(Services::new().await, &frozen, &[]).await;
    let products = ("FLASHSALE_PRODUCTS", stage.products());
    let second = stage.services.spawn(&["work"], &[sweeping[0], sweeping[1], products]);
    let start = now();
    eventually("the leader is frozen", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    let sent = |process: &crate::support::process::Flashsale| process.log().matches("sent again").count();
    let sent_before = sent(&stage.work);
    stage.services.count(&format!("SELECT count(pg_terminate_backend(pid)) {LEADER}")).await;
    second.logs("sent again from the outbox").await;
    lasts(Duration::from_secs(30)).await;
    stage.work.signal(Signal::CONT);
    eventually("it sends what it had read", SOON, async || (sent(&stage.work) > sent_before).then_some(()))
        .await;
    stage.sale.fault("two-leaders", start, true, false);
    stage.holds().await;
}

/// The leader is frozen while its host lives, and acknowledges every packet: the database ends its session, and another
/// one leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_loses_the_lead() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    let leads = format!("SELECT coalesce(max(pid), 0)::bigint {LEADER}");
    let leader = stage.services.count(&leads).await;
    let second = stage.spawn("work");
    ready(&second.health().await).await;
    let start = now();
    stage.work.signal(Signal::STOP);
    eventually("it is frozen", SOON, async || is_stopped(stage.work.id()).then_some(())).await;
    assert_eq!(stage.services.count(&leads).await, leader, "the frozen one leads");
    redis::cmd("FLUSHALL").exec_async(&mut stage.services.redis().await).await.expect("FLUSHALL");
    stage.not_ready().await;
    eventually("another one leads", SOON, async || {
        let now = stage.services.count(&leads).await;
        (now != leader && now != 0).then_some(())
    })
    .await;
    second.logs("the sale is ready").await;
    stage.work.signal(Signal::CONT);
    stage.sale.fault("leader-stop", start, true, true);
    stage.holds().await;
}

/// An API process is frozen between admission and publish, for so long that a rebuild takes place meanwhile: the drain
/// has not seen its purchase, so that its confirm, if it came, would be no promise. That process alone was told to wait a
/// minute for confirms.
#[tokio::test(flavor = "multi_thread")]
async fn confirm_too_late() {
    let redis = own(servers::redis).await;
    let services = with_redis(redis.port).await;
    let _work = services.spawn(&["work"], &[]);
    let patient = ("FLASHSALE_BROKER_CONFIRM_TIMEOUT_MS", "60000");
    let frozen = services.spawn(&["serve"], &[("FLASHSALE_CRASH", "api-after-admission@1:stop"), patient]);
    let healthy = services.spawn(&["serve"], &[]);
    let (api, other) = (frozen.api().await, healthy.api().await);
    ready(&api).await;
    ready(&other).await;
    let attempt = tokio::spawn(async move { crate::support::http::buy(&client(), &api, "late").await.body });
    eventually("it is frozen", SOON, async || is_stopped(frozen.id()).then_some(())).await;
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
    let epoch = "SELECT opened_epoch FROM products";
    eventually("a rebuild", SOON, async || (services.count(epoch).await > 1).then_some(())).await;
    ready(&other).await;
    frozen.signal(Signal::CONT);
    let answer = attempt.await.expect("an answer");
    assert_eq!((&answer["status"], &answer["durability"]), (&json!("SUCCESS"), &json!("redis")), "{answer}");
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'late'";
    eventually("it is recorded all the same", SOON, async || (services.count(row).await == 1).then_some(()))
        .await;
}

/// Their clocks are an hour off, one this way and one the other: the sale opens and closes by Redis' clock.
#[tokio::test(flavor = "multi_thread")]
async fn have_wrong_clocks() {
    use chrono::{DateTime, TimeDelta, Utc};

    let services = Services::new().await;
    let file = tempfile::NamedTempFile::new().expect("file");
    let opening_in = |seconds| {
        let opens_at = DateTime::from_timestamp_millis(now()).expect("time") + TimeDelta::seconds(seconds);
        let closes_at = opens_at + TimeDelta::seconds(5);
        let catalogue = format!(
            "[[products]]\nid = \"p\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 10000
             sale_start = \"{}\"\nsale_end = \"{}\"",
            opens_at.to_rfc3339(),
            closes_at.to_rfc3339()
        );
        std::fs::write(file.path(), catalogue).expect("write");
        (opens_at, closes_at)
    };
    opening_in(300);
    let products = ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"));
    let skewed = |command, skew| services.spawn(&[command], &[products, ("FLASHSALE_CLOCK_SKEW_S", skew)]);
    let _work = skewed("work", "3600");
    let (ahead, behind) = (skewed("serve", "3600"), skewed("serve", "-3600"));
    let apis = [ahead.api().await, behind.api().await];
    let client = client();
    let mut outcomes = BTreeSet::new();
    for api in &apis {
        ready(api).await;
    }
    // Now that everybody is there.
    let (opens_at, closes_at) = opening_in(5);
    crate::products::apply(&services, file.path()).await;
    eventually("the sale has ended", SOON, async || {
        let mut ended = true;
        for (number, api) in apis.iter().enumerate() {
            let user = format!("buyer-{number}-{}", fastrand::u64(..));
            let answer = crate::support::http::buy(&client, api, &user).await;
            let outcome = answer.body["status"].as_str().expect("status").to_owned();
            ended &= outcome == "ENDED";
            outcomes.insert((number, outcome));
        }
        ended.then_some(())
    })
    .await;
    let expected: BTreeSet<_> = ["UPCOMING", "SUCCESS", "ENDED"]
        .into_iter()
        .flat_map(|outcome| [(0, outcome.to_owned()), (1, outcome.to_owned())])
        .collect();
    assert_eq!(outcomes, expected);
    eventually("everything is recorded", SOON, async || {
        (crate::distributed::outbox_len_of(&services, "p").await == 0).then_some(())
    })
    .await;
    let rows = services.sql().await.query("SELECT admitted_at FROM purchases", &[]).await.expect("rows");
    assert!(!rows.is_empty());
    for row in rows {
        let admitted_at: std::time::SystemTime = row.get(0);
        let admitted_at = DateTime::<Utc>::from(admitted_at);
        assert!((opens_at..closes_at).contains(&admitted_at), "admitted at {admitted_at}");
    }
}

/// The pages are told to end under load; what they promised is in the ledger. (`serve` and `work`:
/// `distributed::ended_under_load_…`.)
#[tokio::test(flavor = "multi_thread")]
async fn pages_end_under_load_and_lose_nothing() {
    let services = Services::new().await;
    let _work = services.spawn(&["work"], &[]);
    let (serve, mut web) = (services.spawn(&["serve"], &[]), services.spawn(&["web"], &[]));
    let (api, shop) = (serve.api().await, web.shop().await);
    ready(&api).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for lane in 0..8 {
        let (client, sender) = (client(), sender.clone());
        let url = format!("{shop}/products/limited-001/buy");
        tokio::spawn(async move {
            for number in 0.. {
                let user = format!("visitor-{lane}-{number}");
                let form = client
                    .post(&url)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(format!("userId={user}"));
                let Ok(answer) = form.send().await else { return };
                if answer.status() == 303 && sender.send(user).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut promised = Vec::new();
    for _ in 0..100 {
        promised.push(receiver.recv().await.expect("a purchase"));
    }
    web.signal(Signal::TERM);
    assert_eq!(web.ended(Duration::from_secs(10)).await.code(), Some(0));
    while let Some(user) = receiver.recv().await {
        promised.push(user);
    }
    eventually("everything is recorded", SOON, async || {
        (crate::distributed::outbox_len(&services).await == 0).then_some(())
    })
    .await;
    let rows = services.sql().await.query("SELECT user_id FROM purchases", &[]).await.expect("rows");
    let rows: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for user in promised {
        assert!(rows.contains(&user), "{user} is lost");
    }
}

//! Messages that come more than once, in any order, and late. (Poison: `worker::what_can_never_succeed_…`; conflicts:
//! `worker::conflicts_are_settled_…`.)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    distributed::{catalogue, outbox_len},
    support::{
        SOON, eventually,
        http::{buy, client, get, not_ready, ready},
        servers,
        services::Services,
        stage::{own, with_redis},
    },
};

const UNITS: u32 = 40;

/// Takes every message out of the queue.
async fn taken(services: &Services) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((body, _)) = services.take("purchases").await {
        messages.push(body);
    }
    messages
}

/// The messages of two epochs, of which the second knows nothing of the first, come five times each, shuffled. Nobody
/// gets two, nothing is oversold, and nobody who was told SUCCESS is silently gone.
#[tokio::test(flavor = "multi_thread")]
async fn come_five_times_and_shuffled_across_epochs() {
    let redis = own(servers::redis).await;
    let (services, file) = (with_redis(redis.port).await, catalogue(UNITS));
    let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (work, serve) = (services.spawn(&["work"], &products), services.spawn(&["serve"], &products));
    let api = serve.api().await;
    ready(&api).await;
    work.kill();
    let (client, mut won) = (client(), BTreeMap::<String, Vec<Value>>::new());
    let mut buy_all = async |users: std::ops::Range<u32>| {
        for number in users {
            let user = format!("buyer-{number}");
            let answer = buy(&client, &api, &user).await.body;
            if answer["status"] == json!("SUCCESS") {
                won.entry(user).or_default().push(answer["purchaseId"].clone());
            }
        }
    };
    buy_all(0..30).await;
    let mut messages = taken(&services).await;
    // All of it is lost, but for these messages: the next epoch sells the same units again, to some of the same people.
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
    not_ready(&api).await;
    let rebuilding = services.spawn(&["work"], &products);
    ready(&api).await;
    rebuilding.kill();
    buy_all(20..50).await;
    messages.extend(taken(&services).await);
    assert!(messages.len() > 50, "{} messages", messages.len());

    let mut copies: Vec<_> = messages.iter().flat_map(|message| std::iter::repeat_n(message, 5)).collect();
    let seed = fastrand::u64(..);
    eprintln!("shuffled by seed {seed}");
    fastrand::Rng::with_seed(seed).shuffle(&mut copies);
    for message in copies {
        services.publish(message).await;
    }
    let _work = services.spawn(&["work"], &products);
    eventually("everything is recorded", SOON, async || {
        (services.depth("purchases").await == 0 && outbox_len(&services).await == 0).then_some(())
    })
    .await;
    assert_eq!(services.depth("purchases.dead").await, 0);
    let sql = services.sql().await;
    let rows = sql.query("SELECT user_id, unit, id::text FROM purchases", &[]).await.expect("rows");
    let units: BTreeSet<i32> = rows.iter().map(|row| row.get(1)).collect();
    let users: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!((units.len(), users.len()), (rows.len(), rows.len()));
    assert_eq!(units, (1..=i32::try_from(UNITS).expect("units")).collect());
    let revoked = sql.query("SELECT purchase_id::text FROM revocations", &[]).await.expect("rows");
    let mut known: BTreeSet<String> = revoked.iter().map(|row| row.get(0)).collect();
    assert!(!known.is_empty(), "nothing was in conflict");
    known.extend(rows.iter().map(|row| row.get::<_, String>(2)));
    for (user, purchases) in won {
        for purchase in &purchases {
            let id = purchase.as_str().expect("id");
            assert!(known.contains(id), "{id} of {user} is silently gone");
        }
        let told = get(&format!("{api}/sale/purchase/status?userId={user}")).await.body;
        assert!(purchases.contains(&told["purchaseId"]), "{user} is told {told}");
    }
}

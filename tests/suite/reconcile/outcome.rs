//! What `reconcile` concludes, and that a repair keeps to what operators have decided.

use serde_json::json;

use crate::{
    distributed::{catalogue, drained},
    purchases::{operate, system},
    support::{
        SOON, eventually,
        http::{buy, client, get},
        services::Services,
    },
};

/// Purchases move while the stores are read: the equation that is printed is true, and the last line says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_goes_on_is_no_difference() {
    let (services, file) = (Services::new().await, catalogue(2_000_000));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let api = &system.api;
    let mut buyers = tokio::task::JoinSet::new();
    for lane in 0..4 {
        let (client, api) = (client(), api.clone());
        buyers.spawn(async move {
            for number in 0.. {
                buy(&client, &api, &format!("buyer-{lane}-{number}")).await;
            }
        });
    }
    for _ in 0..4 {
        let rows = services.count("SELECT count(*) FROM purchases").await;
        let (code, said) = operate(&services, &["reconcile"]).await;
        assert!(services.count("SELECT count(*) FROM purchases").await > rows, "nothing was sold meanwhile");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("no difference: admission and ledger agree") && !said.contains('≠'), "{said}");
        assert!(said.contains("2,000,000 = "), "the units were not counted: {said}");
    }
    buyers.shutdown().await;
}

/// No worker has carried an operator's terms over: the units do not add up, and that is a difference.
#[tokio::test(flavor = "multi_thread")]
async fn terms_that_no_worker_has_carried_over_are_a_difference() {
    let (services, file, more) = (Services::new().await, catalogue(20), catalogue(25));
    let products = file.path().to_str().expect("path");
    let mut system = system(&services, products).await;
    let api = &system.api;
    system.work.signal(rustix::process::Signal::TERM);
    system.work.ended(SOON).await;
    crate::products::apply(&services, more.path()).await;
    assert_eq!(operate(&services, &["pause"]).await.0, Some(0));
    let (code, said) = operate(&services, &["reconcile"]).await;
    assert_eq!(code, Some(1), "{said}");
    let detail = "the sale: admission has total_stock 20, the ledger 25; paused no, the ledger yes";
    assert!(said.contains(detail) && said.contains("differences: 1") && !said.contains('≠'), "{said}");

    // The repair gives the sale what the operator has decided.
    let (code, said) = operate(&services, &["reconcile", "--fix"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("differences: 1, all repaired"), "{said}");
    let (code, said) = operate(&services, &["reconcile"]).await;
    assert!(code == Some(0) && said.contains("25 = 25 remaining"), "{said}");
    assert_eq!(buy(&client(), api, "a").await.body["status"], json!("PAUSED"));
}

/// A lower stock is only asked for until admission has agreed: a repair asks it, and never undoes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lower_stock_that_no_worker_has_carried_over_is_a_difference() {
    let (services, file, fewer) = (Services::new().await, catalogue(20), catalogue(10));
    let products = file.path().to_str().expect("path");
    let mut system = system(&services, products).await;
    system.work.signal(rustix::process::Signal::TERM);
    system.work.ended(SOON).await;
    crate::products::apply(&services, fewer.path()).await;
    let (code, said) = operate(&services, &["reconcile"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the sale: admission has total_stock 20, the ledger 10"), "{said}");
    let (code, said) = operate(&services, &["reconcile", "--fix"]).await;
    assert!(code == Some(0) && said.contains("differences: 1, all repaired"), "{said}");
    let (code, said) = operate(&services, &["reconcile"]).await;
    assert!(code == Some(0) && said.contains("no difference"), "{said}");
    let (code, said) = operate(&services, &["audit"]).await;
    assert!(code != Some(1) && said.contains("10 = 10 remaining"), "{said}");
    let _work = services.spawn(&["work"], &[("FLASHSALE_PRODUCTS", fewer.path().to_str().expect("path"))]);
    eventually("the ledger has it", SOON, async || {
        let lowered = "SELECT count(*) FROM products WHERE total_stock = 10 AND lower_stock_to IS NULL";
        (services.count(lowered).await == 1).then_some(())
    })
    .await;
    let stock = get(&format!("{}/sale/stock", system.api)).await.body;
    assert_eq!(stock["stock"], json!(10));
}

/// Whatever Redis was changed to by hand, a repair makes it what operators have decided.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_undoes_nothing_that_an_operator_has_decided() {
    let (services, file) = (Services::new().await, catalogue(4));
    let products = file.path().to_str().expect("path");
    let variables = [("FLASHSALE_PRODUCTS", products)];
    let mut system = system(&services, products).await;
    let api = &system.api;
    let client = client();
    let mut ids = Vec::new();
    for user in ["returned", "withheld", "erased"] {
        ids.push(buy(&client, api, user).await.body["purchaseId"].as_str().expect("id").to_owned());
    }
    drained(&services, 3).await;
    let [buyers, sale, free] = ["buyers", "sale", "free"].map(|key| services.key("limited-001", key));
    let mut redis = services.redis().await;
    let mut before = redis::cmd("HGETALL");
    let winners: std::collections::HashMap<String, String> =
        before.arg(&buyers).query_async(&mut redis).await.expect("HGETALL");
    let cancel = ["purchases", "cancel", "--reason", "r"];
    for (id, flag) in [(&ids[0], None), (&ids[1], Some("--keep-unit"))] {
        let arguments: Vec<_> = cancel.iter().copied().chain([id.as_str()]).chain(flag).collect();
        let (code, said) = operate(&services, &arguments).await;
        assert!(code == Some(0) && !said.contains("the sale follows"), "{said}");
    }
    system.work.signal(rustix::process::Signal::TERM);
    system.work.ended(SOON).await;

    // Both cancelled purchases are winners again, the unit that returned is gone, the withheld one is for sale; and a
    // buyer is erased.
    for user in ["returned", "withheld"] {
        let mut set = redis::cmd("HSET");
        set.arg(&buyers).arg(user).arg(&winners[user]).exec_async(&mut redis).await.expect("HSET");
    }
    redis::cmd("DEL").arg(&free).exec_async(&mut redis).await.expect("DEL");
    redis::cmd("RPUSH").arg(&free).arg(2).exec_async(&mut redis).await.expect("RPUSH");
    redis::cmd("HSET").arg(&sale).arg("balance").arg(1).exec_async(&mut redis).await.expect("HSET");
    assert_eq!(operate(&services, &["purchases", "erase", "erased"]).await.0, Some(0));
    let (code, said) = operate(&services, &["reconcile"]).await;
    assert_eq!(code, Some(1), "{said}");
    for user in ["returned", "withheld", "erased"] {
        assert!(said.contains(&format!("{user}: the ledger has purchase")), "{said}");
    }
    assert!(!said.contains("into the outbox again"), "nobody's name goes out again: {said}");

    let (code, said) = operate(&services, &["reconcile", "--fix"]).await;
    assert!(code == Some(0) && said.contains("all repaired"), "{said}");
    let _work = services.spawn(&["work"], &variables);
    eventually("carried over", SOON, async || {
        let (code, _) = operate(&services, &["reconcile"]).await;
        (code == Some(0)).then_some(())
    })
    .await;
    let status = async |user: &str| get(&format!("{api}/sale/purchase/status?userId={user}")).await.body;
    for user in ["returned", "withheld"] {
        assert_eq!(status(user).await["state"], json!("CANCELLED"), "{user}");
        assert_eq!(buy(&client, api, user).await.body["state"], json!("CANCELLED"), "{user}");
    }
    assert_eq!(status("erased").await, json!({"hasPurchased": false}));
    for unit in [1, 4] {
        assert_eq!(buy(&client, api, &format!("new-{unit}")).await.body["unit"], json!(unit));
    }
    assert_eq!(buy(&client, api, "late").await.body["status"], json!("SOLD_OUT"), "unit 2 is withheld");
    let live = "SELECT count(*) FROM live_purchases WHERE user_id IN ('returned', 'withheld', 'erased')";
    assert_eq!(services.count(live).await, 0);
}

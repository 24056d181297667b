//! Erasing a person.

use serde_json::json;

use super::{audit_holds, operate, operate_embedded, status, system};
use crate::{
    distributed::{catalogue, drained},
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, client, ready},
        services::Services,
    },
    worker::{item, message},
};

/// Whether any store names a user.
async fn is_named(services: &Services, user: &str) -> bool {
    let mut redis = services.redis().await;
    let key = |name| services.key("limited-001", name);
    let buyers: Vec<String> =
        redis::cmd("HKEYS").arg(key("buyers")).query_async(&mut redis).await.expect("HKEYS");
    let rows = format!(
        "SELECT (SELECT count(*) FROM purchases WHERE user_id = '{user}')
              + (SELECT count(*) FROM revocations WHERE user_id = '{user}')
              + (SELECT count(*) FROM earlier_buyers WHERE user_id = '{user}')
              + (SELECT count(*) FROM admission_changes WHERE user_id = '{user}')
              + (SELECT count(*) FROM discards WHERE position('\"{user}\"'::bytea IN body) > 0)"
    );
    buyers.iter().any(|buyer| buyer == user) || services.count(&rows).await > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn no_store_names_the_user_and_every_unit_stays() {
    let (services, file) = (Services::new().await, catalogue(5));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let (client, api) = (client(), &system.api);
    let bought = buy(&client, api, "ada").await.body;
    assert_eq!(buy(&client, api, "neighbour").await.body["unit"], json!(2));
    drained(&services, 2).await;
    // A letter that was discarded, whose record has the message, and one that is there.
    services.publish(&message(&services, 1, "unknown", &[item("ada", 1)]).await).await;
    eventually("a letter", SOON, async || (services.depth("purchases.dead").await == 1).then_some(())).await;
    let mut list = services.spawn(&["dead-letters", "list", "--json"], &[]);
    assert!(list.ended(SOON).await.success());
    let letters: serde_json::Value = serde_json::from_str(&list.printed()).expect("JSON");
    let letter = letters[0]["id"].as_str().expect("id").to_owned();
    let (code, said) = operate(&services, &["purchases", "erase", "ada"]).await;
    assert!(code == Some(0) && said.contains("1 dead letters still name the user"), "{said}");
    operate(&services, &["dead-letters", "discard", &letter, "--reason", "a probe"]).await;
    let (code, said) = operate(&services, &["purchases", "erase", "ada"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("erased: 0 purchases, 0 revocations, 0 imports, 1 records"), "{said}");
    assert!(!is_named(&services, "ada").await);
    assert!(is_named(&services, "neighbour").await);

    let row = format!(
        "SELECT count(*) FROM purchases WHERE id = '{}' AND unit = 1 AND user_id LIKE 'erased-%'",
        bought["purchaseId"].as_str().expect("id")
    );
    assert_eq!(services.count(&row).await, 1);
    assert_eq!(status(api, "ada").await, json!({"hasPurchased": false}));
    // A late message names the user: the row is known by the purchase.
    let late = json!({"id": bought["purchaseId"], "user": "ada", "unit": 1, "admittedAt": 1_732_000_000_123_i64, "seq": 0});
    services.publish(&message(&services, 1, "limited-001", &[late]).await).await;
    eventually("taken", SOON, async || (services.depth("purchases").await == 0).then_some(())).await;
    audit_holds(&services, products, "5 = 3 remaining + 0 in flight + 2 in the ledger + 0 dead-lettered")
        .await;
    assert!(!is_named(&services, "ada").await);
    let (code, said) = operate(&services, &["--products", products, "reconcile"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(buy(&client, api, "ada").await.body["unit"], json!(3), "nobody knows the user any more");
    drop(system.work);
}

/// A purchase on its way has the former name; it is renamed once it is recorded, without another
/// command.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_follows_by_itself() {
    let (services, file) = (Services::new().await, catalogue(5));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let (client, api) = (client(), &system.api);
    system.work.kill();
    assert_eq!(buy(&client, api, "ada").await.body["state"], json!("PENDING"));
    let (code, said) = operate(&services, &["purchases", "erase", "ada"]).await;
    assert!(code == Some(0) && said.contains("what is in flight is recorded"), "{said}");
    let _work = services.spawn(&["work"], &[("FLASHSALE_PRODUCTS", products)]);
    drained(&services, 1).await;
    eventually("renamed", SOON, async || (!is_named(&services, "ada").await).then_some(())).await;
    audit_holds(&services, products, "5 = 4 remaining + 0 in flight + 1 in the ledger + 0 dead-lettered")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_beside_the_running_process() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "ada").await.body["unit"], json!(1));
    for (code, purchases) in [(Some(0), 1), (Some(0), 0)] {
        let (ended, said) = operate_embedded(&embedded, &["purchases", "erase", "ada"]).await;
        assert!(ended == code && said.contains(&format!("erased: {purchases} purchases")), "{said}");
    }
    assert_eq!(status(&api, "ada").await, json!({"hasPurchased": false}));
    assert_eq!(buy(&client, &api, "other").await.body["unit"], json!(2));
    let (_, exported) = operate_embedded(&embedded, &["purchases", "export"]).await;
    assert!(!exported.contains("ada") && exported.contains("erased-"), "{exported}");
}

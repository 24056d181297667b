//! Another stock, while the sale is running.

use serde_json::json;

use crate::{
    distributed::{catalogue, drained},
    products::apply,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        services::Services,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_raised_without_a_restart() {
    let (services, one, two) = (Services::new().await, catalogue(1), catalogue(2));
    let variables = [("FLASHSALE_PRODUCTS", one.path().to_str().expect("path"))];
    let _work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "first").await.body["unit"], json!(1));
    assert_eq!(buy(&client, &api, "second").await.body["status"], json!("SOLD_OUT"));
    apply(&services, two.path()).await;
    let second = eventually("one more", SOON, async || {
        let answer = buy(&client, &api, "second").await.body;
        (answer["status"] == json!("SUCCESS")).then_some(answer)
    })
    .await;
    assert_eq!(second["unit"], json!(2));
    drained(&services, 2).await;
}

/// Less stock than is handed out, while none of it is in the database yet: nobody loses the unit
/// that they were promised, and the operator is told.
#[tokio::test(flavor = "multi_thread")]
async fn stock_is_not_lowered_below_what_is_on_its_way() {
    let (services, ten, three, six) = (Services::new().await, catalogue(10), catalogue(3), catalogue(6));
    let variables = [("FLASHSALE_PRODUCTS", ten.path().to_str().expect("path"))];
    let mut work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    work.signal(rustix::process::Signal::TERM);
    assert!(work.ended(SOON).await.success());
    let client = client();
    for number in 1..=5 {
        let answer = buy(&client, &api, &format!("buyer-{number}")).await.body;
        assert_eq!((&answer["status"], &answer["unit"]), (&json!("SUCCESS"), &json!(number)));
    }
    assert_eq!(services.count("SELECT count(*) FROM purchases").await, 0, "they are on their way");

    apply(&services, three.path()).await;
    let work = services.spawn(&["work"], &variables);
    work.logs("total_stock is not obeyed").await;
    drained(&services, 5).await;
    assert_eq!(services.count("SELECT count(*) FROM revocations").await, 0);
    assert_eq!(get(&format!("{api}/sale/status")).await.body["product"]["totalStock"], json!(10));

    apply(&services, six.path()).await;
    eventually("six", SOON, async || {
        let sale = get(&format!("{api}/sale/status")).await.body;
        (sale["product"]["totalStock"] == json!(6)).then_some(())
    })
    .await;
    assert_eq!(buy(&client, &api, "buyer-6").await.body["unit"], json!(6));
    assert_eq!(buy(&client, &api, "buyer-7").await.body["status"], json!("SOLD_OUT"));
    drained(&services, 6).await;
    eventually("the ledger agrees", SOON, async || {
        (services.count("SELECT total_stock::bigint FROM products").await == 6).then_some(())
    })
    .await;
}

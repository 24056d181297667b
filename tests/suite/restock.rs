//! Another stock, while the sale is running.

use serde_json::{Value, json};

use crate::{
    distributed::{ID, catalogue, drained},
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

/// The receipt of a purchase at this address of the shop.
async fn receipt(shop: &str, bought: &Value, query: &str) -> String {
    let id = bought["purchaseId"].as_str().expect("id");
    let answer = get(&format!("{shop}/purchases/{id}{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.body.as_str().expect("a page").to_owned()
}

fn shows(receipt: &str, texts: &[&str]) {
    for text in texts {
        assert!(receipt.contains(text), "{text} is not in {receipt}");
    }
}

/// A product is sold on, with more units, under another name, for another price: each receipt says what its buyer was
/// sold, before it is recorded and after, and also while admission has lost everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_was_sold() {
    let (services, three, six) = (Services::new().await, catalogue(3), catalogue(6));
    let text = std::fs::read_to_string(six.path()).expect("read");
    let dearer = text.replace("\"Thing\"", "\"Better thing\"").replace("\"1\"", "\"2.5\"");
    std::fs::write(six.path(), dearer).expect("write");
    let variables = [("FLASHSALE_PRODUCTS", three.path().to_str().expect("path"))];
    let mut work = services.spawn(&["work"], &variables);
    let (serve, web) = (services.spawn(&["serve"], &variables), services.spawn(&["web"], &variables));
    let (api, shop) = (serve.api().await, web.shop().await);
    ready(&api).await;
    let client = client();
    let mut bought = Vec::new();
    for number in 1..=3 {
        bought.push(buy(&client, &api, &format!("buyer-{number}")).await.body);
    }
    drained(&services, 3).await;
    apply(&services, six.path()).await;
    eventually("six", SOON, async || {
        let sale = get(&format!("{api}/sale/status")).await.body;
        (sale["product"]["totalStock"] == json!(6)).then_some(())
    })
    .await;
    eventually("the shop shows the new name", SOON, async || {
        let page = get(&format!("{shop}/products/{ID}")).await.body.to_string();
        page.contains("Better thing").then_some(())
    })
    .await;
    // On its way, and then recorded.
    work.signal(rustix::process::Signal::TERM);
    assert!(work.ended(SOON).await.success());
    for number in 4..=6 {
        bought.push(buy(&client, &api, &format!("buyer-{number}")).await.body);
    }
    let link = |user: &str| format!("?product={ID}&userId={user}");
    let (old, new) = (
        ["<h1 dir=\"auto\">Thing</h1>", "1.00\u{a0}USD"],
        ["<h1 dir=\"auto\">Better thing</h1>", "2.50\u{a0}USD"],
    );
    shows(
        &receipt(&shop, &bought[5], &link("buyer-6")).await,
        &[&new[..], &["PENDING", "No. 6<", "of 6<"]].concat(),
    );
    let work = services.spawn(&["work"], &variables);
    drained(&services, 6).await;
    // With the buyer, with a product that the shop does not have, and by the id alone.
    for (number, what) in [(1, &old), (3, &old), (4, &new), (6, &new)] {
        let unit = format!("No. {number}<");
        for query in
            [link(&format!("buyer-{number}")), "?product=gone&userId=nobody".to_owned(), String::new()]
        {
            let page = receipt(&shop, &bought[number - 1], &query).await;
            shows(&page, &[&what[..], &["CONFIRMED", unit.as_str()]].concat());
        }
    }
    drop(work);
    let mut redis = services.redis().await;
    redis::cmd("DEL").arg(services.keys().await).exec_async(&mut redis).await.expect("DEL");
    shows(&receipt(&shop, &bought[0], &link("buyer-1")).await, &old);
    let offers = "SELECT count(*) FROM purchases JOIN offers USING (product_id)
                  WHERE offer = number AND price_minor = CASE WHEN unit <= 3 THEN 100 ELSE 250 END";
    assert_eq!(services.count(offers).await, 6);
}

//! Cancelling a purchase.

use serde_json::{Value, json};

use super::{audit_holds, operate, operate_embedded, status, system};
use crate::{
    distributed::{catalogue, drained},
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        servers,
        services::Services,
        stage::{own, with_redis},
    },
    worker::message,
};

const REASON: &str = "You have returned it.";

fn id(answer: &Value) -> &str {
    answer["purchaseId"].as_str().expect("a purchase")
}

/// The unit is sold again once, the buyer sees the reason and can't buy again: after a replay of the
/// message, a repair, and a loss of Redis, too.
#[tokio::test(flavor = "multi_thread")]
async fn its_buyer_sees_the_reason_and_its_unit_is_sold_once_again() {
    let redis = own(servers::redis).await;
    let (services, file) = (with_redis(redis.port).await, catalogue(3));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let (client, api) = (client(), &system.api);
    let mut bought = Vec::new();
    for user in ["a", "b", "c"] {
        bought.push(buy(&client, api, user).await.body);
    }
    drained(&services, 3).await;
    let cancel = ["purchases", "cancel", id(&bought[0]), "--reason", REASON];
    let (code, said) = operate(&services, &cancel).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("unit 1 returns to stock, and its buyer may not buy again"), "{said}");
    let is_cancelled = async |user: &str, of: &Value| {
        let told = status(api, user).await;
        assert_eq!((&told["state"], &told["reason"]), (&json!("CANCELLED"), &json!(REASON)), "{told}");
        assert_eq!((&told["hasPurchased"], &told["purchaseId"]), (&json!(false), &of["purchaseId"]));
        assert!(told["unit"].is_null(), "{told}");
        let again = buy(&client, api, user).await.body;
        assert_eq!((&again["status"], &again["state"]), (&json!("PURCHASED"), &json!("CANCELLED")));
        assert!(again["purchaseId"] == of["purchaseId"] && again["unit"].is_null(), "{again}");
    };
    is_cancelled("a", &bought[0]).await;
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'a' AND cancelled_by = 'ada' AND unit = 1
               AND cancel_reason = 'You have returned it.' AND NOT holds_unit AND holds_right";
    assert_eq!(services.count(row).await, 1, "the row is kept");
    assert_eq!(buy(&client, api, "d").await.body["unit"], json!(1), "the unit is sold again");
    assert_eq!(buy(&client, api, "e").await.body["status"], json!("SOLD_OUT"), "and once");
    audit_holds(&services, products, "3 = 0 remaining + 0 in flight + 3 in the ledger + 0 dead-lettered")
        .await;

    // Again: the first decision stands.
    let (code, said) = operate(&services, &[&cancel[..], &["--allow-again", "--by", "grace"]].concat()).await;
    assert!(code == Some(0) && said.contains("was cancelled before") && said.contains("by ada"), "{said}");
    // The message comes once more.
    let item =
        json!({"id": id(&bought[0]), "user": "a", "unit": 1, "admittedAt": 1_732_000_000_123_i64, "seq": 0});
    services.publish(&message(&services, 1, "limited-001", &[item]).await).await;
    let (code, found) = operate(&services, &["--products", products, "reconcile", "--fix"]).await;
    assert_eq!(code, Some(0), "{found}");
    drained(&services, 4).await;
    is_cancelled("a", &bought[0]).await;
    assert_eq!(services.count("SELECT count(*) FROM live_purchases").await, 3);

    // With the unit withheld, and with a buyer who may buy again.
    let cancel = ["purchases", "cancel", id(&bought[1]), "--reason", REASON, "--keep-unit", "--allow-again"];
    assert_eq!(operate(&services, &cancel).await.0, Some(0));
    assert_eq!(status(api, "b").await["state"], json!("CANCELLED"));
    assert_eq!(buy(&client, api, "b").await.body["status"], json!("SOLD_OUT"), "unit 2 is withheld");
    let law = "3 = 0 remaining + 0 in flight + 2 in the ledger + 0 dead-lettered + 1 withheld";
    audit_holds(&services, products, law).await;
    let cancel = ["purchases", "cancel", id(&bought[2]), "--reason", REASON, "--allow-again"];
    assert_eq!(operate(&services, &cancel).await.0, Some(0));
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
    eventually("rebuilt", SOON, async || {
        (status(api, "d").await["state"] == json!("CONFIRMED")).then_some(())
    })
    .await;
    is_cancelled("a", &bought[0]).await;
    assert_eq!(status(api, "b").await["reason"], json!(REASON));
    assert_eq!(buy(&client, api, "c").await.body["unit"], json!(3), "another purchase of the same buyer");
    assert_eq!(buy(&client, api, "b").await.body["status"], json!("SOLD_OUT"));
    eventually("recorded", SOON, async || {
        (services.count("SELECT count(*) FROM live_purchases").await == 2).then_some(())
    })
    .await;
    audit_holds(&services, products, law).await;
    drop(system.work);
}

/// The leader dies between the change of admission and its note that it is made: the next one makes it
/// again, and the unit is there once. Until then the unit is accounted for.
#[tokio::test(flavor = "multi_thread")]
async fn is_completed_once_after_a_crash() {
    let (services, file) = (Services::new().await, catalogue(2));
    let products = file.path().to_str().expect("path");
    let mut system = system(&services, products).await;
    let (client, api) = (client(), system.api.clone());
    let bought = buy(&client, &api, "a").await.body;
    assert_eq!(buy(&client, &api, "b").await.body["unit"], json!(2));
    drained(&services, 2).await;
    system.work.signal(rustix::process::Signal::TERM);
    assert!(system.work.ended(SOON).await.success());
    let cancel = ["purchases", "cancel", id(&bought), "--reason", REASON];
    let (code, said) = operate(&services, &cancel).await;
    assert!(code == Some(0) && said.contains("the sale follows as soon as a worker"), "{said}");
    let (code, report) = operate(&services, &["--products", products, "reconcile", "--json"]).await;
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("not-carried-over") && report.contains("\"returning\": 1"), "{report}");
    assert!(!report.contains("lost-on-the-way"), "nobody may record it again: {report}");

    let doomed = [("FLASHSALE_PRODUCTS", products), ("FLASHSALE_CRASH", "recovery-after-change@1")];
    let mut work = services.spawn(&["work"], &doomed);
    let status = work.ended(SOON).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{}", work.log());
    assert_eq!(services.count("SELECT count(*) FROM admission_changes").await, 1);
    let work = services.spawn(&["work"], &doomed[..1]);
    ready(&work.health().await).await;
    eventually("carried over", SOON, async || {
        (services.count("SELECT count(*) FROM admission_changes").await == 0).then_some(())
    })
    .await;
    assert_eq!(buy(&client, &api, "c").await.body["unit"], json!(1));
    assert_eq!(buy(&client, &api, "d").await.body["status"], json!("SOLD_OUT"));
    drained(&services, 3).await;
    audit_holds(&services, products, "2 = 0 remaining + 0 in flight + 2 in the ledger + 0 dead-lettered")
        .await;
}

/// While a stampede goes on, every cancelled unit is sold exactly once more.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_stampede_nothing_is_oversold() {
    const UNITS: u32 = 200;
    let (services, file) = (Services::new().await, catalogue(UNITS));
    let products = file.path().to_str().expect("path");
    let system = system(&services, products).await;
    let api = system.api.clone();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let (client, api) = (client(), api.clone());
        lanes.spawn(async move {
            for number in 0..80 {
                let answer = buy(&client, &api, &format!("buyer-{lane}-{number}")).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
    }
    let sql = services.sql().await;
    for number in 0..5 {
        let row = eventually("a row", SOON, async || {
            let query = "SELECT id::text FROM live_purchases ORDER BY random() LIMIT 1";
            sql.query_opt(query, &[]).await.expect("rows")
        })
        .await;
        let flags: &[&str] = if number % 2 == 0 { &["--allow-again"] } else { &[] };
        let cancel = [&["purchases", "cancel", row.get(0), "--reason", REASON][..], flags].concat();
        let (code, said) = operate(&services, &cancel).await;
        assert_eq!(code, Some(0), "{said}");
    }
    while let Some(ended) = lanes.join_next().await {
        ended.expect("a lane");
    }
    // The last units that came back.
    let client = client();
    eventually("sold out", SOON, async || {
        let late = format!("late-{}", fastrand::u32(..));
        (buy(&client, &api, &late).await.body["status"] == json!("SOLD_OUT")).then_some(())
    })
    .await;
    drained(&services, i64::from(UNITS) + 5).await;
    assert_eq!(services.count("SELECT count(*) FROM live_purchases").await, i64::from(UNITS));
    audit_holds(&services, products, "200 = 0 remaining + 0 in flight + 200 in the ledger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_refused_without_a_reason_and_without_a_purchase() {
    let services = Services::new().await;
    let mut migrate = services.spawn(&["migrate"], &[]);
    assert!(migrate.ended(SOON).await.success());
    let nobodys = "0193a000-0000-7000-8000-000000000001";
    for (reason, said) in
        [("why", "the ledger has no purchase 0193a000"), (" ", "the reason must have 1 to 500")]
    {
        let (code, log) = operate(&services, &["purchases", "cancel", nobodys, "--reason", reason]).await;
        assert!(code == Some(1) && log.contains(said), "{log}");
    }
}

/// Beside the running process, whose recovery carries it over; and without one.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_beside_the_running_process() {
    let (embedded, file) = (Embedded::new(), catalogue(2));
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    let (a, b) = (buy(&client, &api, "a").await.body, buy(&client, &api, "b").await.body);
    let cancel = |of: &Value| {
        let arguments = ["purchases", "cancel", id(of), "--reason", REASON].map(str::to_owned);
        let embedded = &embedded;
        async move {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            operate_embedded(embedded, &arguments).await
        }
    };
    let (code, said) = cancel(&a).await;
    assert_eq!(code, Some(0), "{said}");
    let told = status(&api, "a").await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("CANCELLED"), &json!(REASON)));
    assert_eq!(buy(&client, &api, "a").await.body["state"], json!("CANCELLED"));
    assert_eq!(buy(&client, &api, "c").await.body["unit"], json!(1));
    assert_eq!(buy(&client, &api, "d").await.body["status"], json!("SOLD_OUT"));
    // Its receipt says so, with and without the buyer's name.
    let shop = serve.shop().await;
    for query in ["?product=limited-001&userId=a", ""] {
        let page = get(&format!("{shop}/purchases/{}{query}", id(&a))).await.body;
        let page = page.as_str().expect("a page");
        assert!(page.contains("data-state=\"CANCELLED\"") && page.contains(REASON), "{page}");
        assert!(!page.contains("No. 1<"), "it has no unit: {page}");
    }
    serve.kill();
    let (code, said) = cancel(&b).await;
    assert!(code == Some(0) && said.contains("the sale follows"), "{said}");
    let serve = embedded.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    assert_eq!(buy(&client, &api, "b").await.body["state"], json!("CANCELLED"));
    assert_eq!(buy(&client, &api, "e").await.body["unit"], json!(2));
    assert_eq!(buy(&client, &api, "f").await.body["status"], json!("SOLD_OUT"));
    assert_eq!(operate_embedded(&embedded, &["audit", "--wait", "0"]).await.0, Some(0));
}

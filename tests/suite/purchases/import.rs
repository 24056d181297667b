//! Importing earlier buyers.

use std::io::Write;

use serde_json::json;

use super::{audit_holds, operate, operate_embedded, status, system};
use crate::{
    distributed::{catalogue, drained},
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, client, ready},
        servers,
        services::Services,
        stage::{own, with_redis},
    },
};

fn list(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

/// They are answered PURCHASED and take no unit, before and during a sale, after a rebuild too; who has
/// a purchase keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn they_can_not_buy_and_take_no_unit() {
    let redis = own(servers::redis).await;
    let (services, file) = (with_redis(redis.port).await, catalogue(3));
    let products = file.path().to_str().expect("path");
    let mut migrate = services.spawn(&["--products", products, "migrate"], &[]);
    assert!(migrate.ended(SOON).await.success());
    let (before, during) =
        (list("early-1\nearly-2\n\nearly-1\n"), list("early-2\r\nlate\r\nbuyer\r\npending\r\n"));
    let import = async |list: &tempfile::NamedTempFile| {
        operate(&services, &["purchases", "import", list.path().to_str().expect("path")]).await
    };
    let (code, said) = import(&before).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("imported 2 earlier buyers, 0 were known already, 1 lines repeat"), "{said}");

    let system = system(&services, products).await;
    let (client, api) = (client(), &system.api);
    let barred = async |user: &str| {
        let answer = buy(&client, api, user).await.body;
        assert_eq!(
            (&answer["status"], &answer["state"]),
            (&json!("PURCHASED"), &json!("CONFIRMED")),
            "{user}"
        );
        assert!(answer["purchaseId"].is_string() && answer["unit"].is_null(), "{answer}");
        let told = status(api, user).await;
        assert_eq!((&told["hasPurchased"], &told["purchaseId"]), (&json!(true), &answer["purchaseId"]));
        answer["purchaseId"].clone()
    };
    barred("early-1").await;
    assert_eq!(buy(&client, api, "buyer").await.body["unit"], json!(1));
    drained(&services, 1).await;
    system.work.signal(rustix::process::Signal::STOP);
    let pending = buy(&client, api, "pending").await.body;
    assert_eq!((&pending["unit"], &pending["state"]), (&json!(2), &json!("PENDING")));
    let (code, said) = import(&during).await;
    assert!(code == Some(0) && said.contains("imported 2 earlier buyers, 2 were known already"), "{said}");
    system.work.signal(rustix::process::Signal::CONT);
    drained(&services, 2).await;
    eventually("carried over", SOON, async || {
        (services.count("SELECT count(*) FROM admission_changes").await == 0).then_some(())
    })
    .await;
    let late = barred("late").await;
    let again = buy(&client, api, "pending").await.body;
    assert_eq!((&again["unit"], &again["state"]), (&json!(2), &json!("CONFIRMED")), "the promise is kept");
    audit_holds(&services, products, "3 = 1 remaining + 0 in flight + 2 in the ledger + 0 dead-lettered")
        .await;

    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
    eventually("rebuilt", SOON, async || {
        (status(api, "buyer").await["state"] == json!("CONFIRMED")).then_some(())
    })
    .await;
    assert_eq!(barred("late").await, late);
    assert_eq!(status(api, "pending").await["unit"], json!(2));
    assert_eq!(buy(&client, api, "last").await.body["unit"], json!(3));
    assert_eq!(buy(&client, api, "none").await.body["status"], json!("SOLD_OUT"));
    drained(&services, 3).await;
    audit_holds(&services, products, "3 = 0 remaining + 0 in flight + 3 in the ledger + 0 dead-lettered")
        .await;
    let (code, said) = import(&during).await;
    assert!(code == Some(0) && said.contains("imported 0 earlier buyers, 4 were known already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_bad_line_nothing_is_imported() {
    let services = Services::new().await;
    let mut migrate = services.spawn(&["migrate"], &[]);
    assert!(migrate.ended(SOON).await.success());
    let bad = list("good\na b\n\u{e9}\nfine\n");
    let (code, said) = operate(&services, &["purchases", "import", bad.path().to_str().expect("path")]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in ["nothing was imported: 2 lines", "line 2: userId must be printable", "line 3: "] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(services.count("SELECT count(*) FROM earlier_buyers").await, 0);
    for (arguments, part) in [
        (vec!["purchases", "import", "/nowhere/at-all"], "can't read the list /nowhere/at-all"),
        (vec!["purchases", "import", "/dev/null", "--product", "none"], "there is no product none"),
    ] {
        let (code, said) = operate(&services, &arguments).await;
        assert!(code == Some(1) && said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_beside_the_running_process() {
    let (embedded, file) = (Embedded::new(), catalogue(2));
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "buyer").await.body["unit"], json!(1));
    let users = list("early\nbuyer\n");
    let arguments = ["purchases", "import", users.path().to_str().expect("path")];
    let (code, said) = operate_embedded(&embedded, &arguments).await;
    assert!(code == Some(0) && said.contains("imported 1 earlier buyers, 1 were known already"), "{said}");
    for restarts in [false, true] {
        let answer = buy(&client, &api, "early").await.body;
        assert!(answer["status"] == json!("PURCHASED") && answer["unit"].is_null(), "{restarts}: {answer}");
    }
    serve.kill();
    let serve = embedded.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    assert_eq!(buy(&client, &api, "early").await.body["status"], json!("PURCHASED"));
    assert_eq!(buy(&client, &api, "second").await.body["unit"], json!(2));
    assert_eq!(buy(&client, &api, "third").await.body["status"], json!("SOLD_OUT"));
}

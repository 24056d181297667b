//! Dead letters as a workflow: list, show, replay, discard.

use lapin::options::{BasicGetOptions, BasicNackOptions};
use serde_json::{Value, json};

use crate::{
    distributed::{catalogue, drained},
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        servers,
        services::Services,
        stage::{own, with_redis},
    },
    worker::{item, message},
};

/// Runs an operator's command to its end, and gives what it printed.
pub(crate) async fn operate(services: &Services, arguments: &[&str]) -> (Option<i32>, String) {
    let mut process: Flashsale = services.spawn(arguments, &[("USER", "ada")]);
    let code = process.ended(SOON).await.code();
    (code, process.printed())
}

async fn letters(services: &Services) -> Vec<Value> {
    let (code, printed) = operate(services, &["dead-letters", "list", "--json"]).await;
    assert_eq!(code, Some(0));
    serde_json::from_str(&printed).expect("JSON")
}

pub(crate) async fn letters_are(services: &Services, number: u32) -> Vec<Value> {
    eventually("dead letters", SOON, async || {
        (services.depth("purchases.dead").await == number).then_some(())
    })
    .await;
    letters(services).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_read_replayed_and_recorded_once_its_cause_is_repaired() {
    let (services, five) = (Services::new().await, catalogue(5));
    let variables = [("FLASHSALE_PRODUCTS", five.path().to_str().expect("path"))];
    let work = services.spawn(&["work"], &variables);
    ready(&work.health().await).await;
    services.publish(&message(&services, 1, "limited-001", &[item("early", 7)]).await).await;
    services.publish(b"not ours").await;
    let found = letters_are(&services, 2).await;
    let ours = found.iter().find(|letter| letter["reason"] == json!("unit-out-of-range")).expect("ours");
    assert_eq!(ours["tries"], json!(1));
    assert!(ours["firstSeen"].is_i64() && ours["body"].as_str().expect("body").contains("early"), "{ours}");
    let (_, listed) = operate(&services, &["dead-letters", "list"]).await;
    for words in ["unit-out-of-range", "malformed", "limited-001", "early", "2 dead letters"] {
        assert!(listed.contains(words), "{words} is not in\n{listed}");
    }
    // Reading leaves a letter in the queue.
    let id = ours["id"].as_str().expect("id");
    let (code, shown) = operate(&services, &["dead-letters", "show", &id[..6]]).await;
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), *ours);
    assert_eq!(letters_are(&services, 2).await.len(), 2);

    // The cause is still there: the letter comes back with its history.
    assert_eq!(
        operate(&services, &["dead-letters", "replay", id]).await,
        (Some(0), "replayed: 1".to_owned())
    );
    let again = eventually("it is back", SOON, async || {
        let found = letters_are(&services, 2).await;
        found.into_iter().find(|letter| letter["tries"] == json!(2))
    })
    .await;
    assert_eq!((&again["id"], &again["firstSeen"]), (&ours["id"], &ours["firstSeen"]));

    let ten = catalogue(10);
    crate::products::apply(&services, ten.path()).await;
    for _ in 0..2 {
        assert_eq!(operate(&services, &["dead-letters", "replay", "--all"]).await.0, Some(0));
    }
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'early' AND unit = 7";
    eventually("recorded", SOON, async || (services.count(row).await == 1).then_some(())).await;
    let left = letters_are(&services, 1).await;
    assert_eq!(left[0]["reason"], json!("malformed"), "what is not a message stays a dead letter");

    for (arguments, said) in [
        (vec!["dead-letters", "show", "nothing-like-it"], "there is no dead letter nothing-like-it"),
        (vec!["dead-letters", "discard", "x", "--reason", "y"], "there is no dead letter x"),
    ] {
        services.spawn(&arguments, &[("USER", "ada")]).refused(1, said).await;
    }
    let garbage = left[0]["id"].as_str().expect("id");
    let discard = ["dead-letters", "discard", garbage, "--reason", "an operator's probe", "--by", "grace"];
    assert_eq!(operate(&services, &discard).await.0, Some(0));
    letters_are(&services, 0).await;
    let record = "SELECT count(*) FROM discards WHERE discarded_by = 'grace' AND body = 'not ours'::bytea
                  AND letter_reason = 'malformed' AND reason = 'an operator''s probe'";
    assert_eq!(services.count(record).await, 1);
}

/// A purchase of an earlier epoch gets a unit again, and only then the table refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_only_after_a_new_unit_was_found_is_a_dead_letter_too() {
    let services = Services::new().await;
    let work = services.spawn(&["work"], &[]);
    let serve = services.spawn(&["serve"], &[]);
    ready(&serve.api().await).await;
    ready(&work.health().await).await;
    services
        .sql()
        .await
        .batch_execute("ALTER TABLE purchases ADD CONSTRAINT no_cursed CHECK (user_id <> 'cursed')")
        .await
        .expect("constraint");
    services
        .publish(&message(&services, 0, "limited-001", &[item("cursed", 1), item("neighbour", 2)]).await)
        .await;
    assert_eq!(letters_are(&services, 1).await[0]["reason"], json!("refused"));
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'neighbour'";
    eventually("the neighbour", SOON, async || (services.count(row).await == 1).then_some(())).await;
}

/// A purchase that was answered SUCCESS, and that the table refuses, is pending while it is a dead
/// letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_purchase_returns_its_unit_once_and_its_buyer_sees_the_reason() {
    let (services, products) = (Services::new().await, catalogue(2));
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let sql = services.sql().await;
    sql.batch_execute("ALTER TABLE purchases ADD CONSTRAINT no_cursed CHECK (user_id <> 'cursed')")
        .await
        .expect("constraint");
    let client = client();
    let status = async || get(&format!("{api}/sale/purchase/status?userId=cursed")).await.body;
    let bought = buy(&client, &api, "cursed").await.body;
    assert_eq!((&bought["status"], &bought["unit"]), (&json!("SUCCESS"), &json!(1)));
    assert_eq!(buy(&client, &api, "neighbour").await.body["unit"], json!(2));
    let found = letters_are(&services, 1).await;
    assert_eq!(found[0]["reason"], json!("refused"));
    eventually("the neighbour", SOON, async || {
        (services.count("SELECT count(*) FROM purchases").await == 1).then_some(())
    })
    .await;
    assert_eq!(status().await["state"], json!("PENDING"), "a dead letter is not confirmed");
    assert_eq!(buy(&client, &api, "third").await.body["status"], json!("SOLD_OUT"));

    let audit = ["--products", products.path().to_str().expect("path"), "audit", "--wait", "20"];
    let (code, report) = operate(&services, &audit).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("2 = 0 remaining + 0 in flight + 1 in the ledger + 1 dead-lettered"), "{report}");

    let id = found[0]["id"].as_str().expect("id").to_owned();
    for _ in 0..2 {
        let discard = ["dead-letters", "discard", &id, "--reason", "Your order could not be kept."];
        operate(&services, &discard).await;
        // As after a discard that was interrupted before the letter was removed.
        let entry = found[0]["body"].as_str().expect("body");
        let channel = services.channel().await;
        let dead = format!("{}.purchases.dead", services.prefix);
        let (options, properties) = Default::default();
        let sent = channel.basic_publish("".into(), dead.into(), options, entry.as_bytes(), properties).await;
        sent.expect("publish").await.expect("sent");
        letters_are(&services, 1).await;
    }
    let told = status().await;
    assert_eq!(told["state"], json!("REVOKED"));
    assert_eq!(told["reason"], json!("Your order could not be kept."));
    assert_eq!(told["purchaseId"], bought["purchaseId"]);
    assert_eq!(services.count("SELECT count(*) FROM discards WHERE discarded_by = 'ada'").await, 1);
    assert_eq!(buy(&client, &api, "third").await.body["unit"], json!(1), "the unit is sold again");
    assert_eq!(buy(&client, &api, "fourth").await.body["status"], json!("SOLD_OUT"), "and only once");
    operate(&services, &["dead-letters", "discard", &id, "--reason", "again"]).await;
    drained(&services, 2).await;
}

async fn flush(services: &Services) {
    redis::cmd("FLUSHALL").exec_async(&mut services.redis().await).await.expect("FLUSHALL");
}

/// Puts a message into the dead-letter queue without a reason, as RabbitMQ does with one that was delivered too often.
pub(crate) async fn given_up(services: &Services, body: &[u8]) {
    let (options, properties) = Default::default();
    let dead = format!("{}.purchases.dead", services.prefix);
    let sent =
        services.channel().await.basic_publish("".into(), dead.into(), options, body, properties).await;
    sent.expect("publish").await.expect("sent");
}

/// A dead letter holds a promise: when Redis is lost, what can be recorded is recorded, what can't keeps its unit and can
/// still be replayed, and a buyer whose unit is someone else's is told.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_taken_over_when_redis_is_lost() {
    let redis = own(servers::redis).await;
    let (services, products) = (with_redis(redis.port).await, catalogue(4));
    let path = products.path().to_str().expect("path");
    let variables = [("FLASHSALE_PRODUCTS", path)];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let sql = services.sql().await;
    sql.batch_execute("ALTER TABLE purchases ADD CONSTRAINT no_cursed CHECK (user_id NOT LIKE 'cursed%')")
        .await
        .expect("constraint");
    let client = client();
    let status = async |user: &str| {
        let answer = get(&format!("{api}/sale/purchase/status?userId={user}")).await;
        (answer.status == 200).then_some(answer.body)
    };
    let is = async |user: &str, state: &str| {
        eventually(state, SOON, async || (status(user).await?["state"] == json!(state)).then_some(())).await;
    };
    let cursed = buy(&client, &api, "cursed").await.body;
    assert_eq!((&cursed["status"], &cursed["unit"]), (&json!("SUCCESS"), &json!(1)));
    letters_are(&services, 1).await;
    // The message of this one is given up by RabbitMQ.
    work.kill();
    let given = buy(&client, &api, "given-up").await.body;
    assert_eq!((&given["status"], &given["unit"]), (&json!("SUCCESS"), &json!(2)));
    let message_of_given = eventually("its message", SOON, async || {
        let (body, _) = services.take("purchases").await?;
        String::from_utf8_lossy(&body).contains("given-up").then_some(body)
    })
    .await;
    given_up(&services, &message_of_given).await;
    // And one that is of an earlier state: its unit is another buyer's, and the table refuses it too.
    given_up(&services, &message(&services, 1, "limited-001", &[item("cursed-too", 1)]).await).await;

    flush(&services).await;
    let work = services.spawn(&["work"], &variables);
    ready(&work.health().await).await;
    ready(&api).await;
    is("given-up", "CONFIRMED").await;
    is("cursed", "PENDING").await;
    is("cursed-too", "REVOKED").await;
    assert!(status("cursed-too").await.expect("status")["reason"].is_string());
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'given-up' AND unit = 2";
    assert_eq!(services.count(row).await, 1);
    assert_eq!(buy(&client, &api, "cursed").await.body["purchaseId"], cursed["purchaseId"]);
    assert_eq!(buy(&client, &api, "third").await.body["unit"], json!(3));
    // The letter of a purchase that is recorded stays for the operator, and is counted no more.
    letters_are(&services, 3).await;
    let audit = ["--products", path, "audit", "--wait", "20"];
    let (code, report) = operate(&services, &audit).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("4 = 1 remaining + 0 in flight + 2 in the ledger + 1 dead-lettered"), "{report}");

    // The same again: what was taken over once is taken over once more.
    flush(&services).await;
    is("cursed", "PENDING").await;
    assert_eq!(buy(&client, &api, "fourth").await.body["unit"], json!(4));
    assert_eq!(buy(&client, &api, "fifth").await.body["status"], json!("SOLD_OUT"));
    letters_are(&services, 3).await;
    sql.batch_execute("ALTER TABLE purchases DROP CONSTRAINT no_cursed").await.expect("repaired");
    assert_eq!(operate(&services, &["dead-letters", "replay", "--all"]).await.0, Some(0));
    is("cursed", "CONFIRMED").await;
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'cursed' AND unit = 1";
    assert_eq!(services.count(row).await, 1);
    is("cursed-too", "REVOKED").await;
    let (code, report) = operate(&services, &audit).await;
    assert_eq!(code, Some(0), "{report}");
    drained(&services, 4).await;
}

/// A message goes back to the queue with each round of a rebuild that fails, and with each crash of a worker that holds
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_came_back_a_hundred_times_is_no_dead_letter() {
    let services = Services::new().await;
    let work = services.spawn(&["work"], &[]);
    let serve = services.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    work.kill();
    assert_eq!(buy(&client(), &api, "patient").await.body["status"], json!("SUCCESS"));
    let (channel, queue) = (services.channel().await, format!("{}.purchases", services.prefix));
    for _ in 0..150 {
        let got = eventually("the message", SOON, async || {
            channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.expect("get")
        })
        .await;
        let again = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        got.delivery.acker.nack(again).await.expect("given back");
    }
    let _work = services.spawn(&["work"], &[]);
    drained(&services, 1).await;
}

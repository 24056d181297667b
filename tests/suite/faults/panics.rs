//! A background task panics: the process says so and ends at once, to be started again.

use crate::support::{
    SOON,
    http::{client, ready, try_send},
    services::Services,
};

/// Makes the task panic that serves the first purchase in this command.
async fn panics_in(command: &str, point: &str, task: &str) {
    let services = Services::new().await;
    let crash = [("FLASHSALE_CRASH", point)];
    let with = |name: &str| if name == command { &crash[..] } else { &[] };
    let mut work = services.spawn(&["work"], with("work"));
    let mut serve = services.spawn(&["serve"], with("serve"));
    let api = serve.api().await;
    ready(&api).await;
    let buying = client().post(format!("{api}/sale/buy")).json(&serde_json::json!({ "userId": "first" }));
    let buying = tokio::spawn(async move { try_send(buying).await });
    let failing = if command == "work" { &mut work } else { &mut serve };
    assert_eq!(failing.ended(SOON).await.code(), Some(1), "{}", failing.log());
    failing.logs("panicked at ").await;
    failing.logs(&format!("flashsale: {task} panicked")).await;
    let answer = buying.await.expect("no panic here");
    // Either way nothing is lost: a fresh process finishes what the outbox has.
    drop(answer);
    let _fresh = services.spawn(&[command], &[]);
    let row = "SELECT count(*) FROM purchases WHERE user_id = 'first'";
    crate::support::eventually("the purchase is recorded", SOON, async || {
        (services.count(row).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worker_end_the_process() {
    panics_in("work", "worker-after-commit@1:panic", "a worker").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_publisher_end_the_process() {
    panics_in("serve", "publisher-before-publish@1:panic", "the publisher").await;
}

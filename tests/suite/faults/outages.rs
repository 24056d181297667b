//! Every service is away at the same time, for a minute: what is logged, and what `/readyz` tells.

use std::time::Duration;

use crate::support::{
    SOON, eventually,
    http::ready,
    servers,
    services::Services,
    stage::{blocking, lasts, own},
};

/// Lines that a process may log about an outage of three services: each begins once and ends once, and a worker says
/// why it rebuilds.
const LINES_MAX: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn are_logged_once_when_they_begin_and_once_when_they_end() {
    let all = own(|| (servers::redis(), servers::rabbitmq(), servers::postgres())).await;
    let services = Services::on(
        &format!("postgres://postgres@127.0.0.1:{}/postgres", all.2.port),
        &format!("redis://127.0.0.1:{}", all.0.port),
        &format!("amqp://guest:guest@127.0.0.1:{}", all.1.node.port),
    )
    .await;
    let work = services.spawn(&["work"], &[]);
    let serve = services.spawn(&["serve"], &[]);
    let (api, health) = (serve.api().await, work.health().await);
    ready(&api).await;
    ready(&health).await;
    let queue = format!("{}.purchases", services.prefix);
    eventually("the queue is noted", SOON, async || all.1.remembers(&queue).then_some(())).await;
    // Not before: RabbitMQ refuses messages for a queue whose declaration has not ended.
    let web = services.spawn(&["web"], &[]);
    web.logs("connected to rabbitmq").await;
    let processes = [&work, &serve, &web];
    let before = processes.map(|process| process.log().lines().count());
    let all = blocking(all, |all| {
        all.0.kill();
        all.1.node.kill();
        all.2.kill();
    })
    .await;
    lasts(Duration::from_mins(1)).await;
    let _all = blocking(all, |all| {
        all.0.start();
        all.1.node.start();
        all.2.start();
    })
    .await;
    ready(&api).await;
    ready(&health).await;
    for (process, before) in processes.into_iter().zip(before) {
        process.logs("rabbitmq is up, after").await;
        process.logs("redis is up, after").await;
        let log = process.log();
        let during: Vec<_> = log.lines().skip(before).collect();
        let times = |text: &str| during.iter().filter(|line| line.contains(text)).count();
        let consumes = process.id() == work.id();
        let all: &[_] = if consumes {
            &["redis", "rabbitmq", "rabbitmq-consumer", "postgresql"]
        } else {
            &["redis", "rabbitmq"]
        };
        for service in all {
            assert_eq!(times(&format!("lost {service}: ")), 1, "{service}:\n{log}");
            assert_eq!(times(&format!("{service} is up, after")), 1, "{service}:\n{log}");
        }
        assert!(during.len() <= LINES_MAX, "{} lines in a minute:\n{}", during.len(), during.join("\n"));
    }
}

//! How long it takes until a sale goes on after an outage, from the moment at which the server answers again. That it
//! does go on is what the test asserts; `scripts/recovery-times` shows the times.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    distributed::catalogue,
    support::{
        SOON, eventually,
        http::{client, ready, try_send},
        servers::{self, Rabbit, Server},
        services::Services,
        stage::{blocking, own},
    },
};

const UNITS: u32 = 20_000;
const SOLD: u32 = 10_000;

struct System {
    services: Services,
    api: String,
    client: reqwest::Client,
    buyers: std::cell::Cell<u32>,
}

impl System {
    /// One attempt of somebody new; what it was answered.
    async fn buys(&self) -> Option<serde_json::Value> {
        self.buyers.set(self.buyers.get() + 1);
        let user = json!({"userId": format!("buyer-{}", self.buyers.get())});
        let answer = try_send(self.client.post(format!("{}/sale/buy", self.api)).json(&user)).await?;
        (answer.status == 200 && answer.body["status"] == json!("SUCCESS")).then_some(answer.body)
    }

    /// Until somebody is told SUCCESS with durability `broker`.
    async fn sells(&self) -> Duration {
        self.until(async || (self.buys().await?["durability"] == json!("broker")).then_some(())).await
    }

    /// Until a purchase that was made since is a row.
    async fn records(&self) -> Duration {
        let bought = self.buys().await.expect("it sells all the while");
        let row = format!(
            "SELECT count(*) FROM purchases WHERE id = '{}'",
            bought["purchaseId"].as_str().expect("id")
        );
        self.until(async || (self.services.count(&row).await == 1).then_some(())).await
    }

    async fn until(&self, happened: impl AsyncFnMut() -> Option<()>) -> Duration {
        let started = Instant::now();
        eventually("the sale goes on", SOON, happened).await;
        started.elapsed()
    }
}

struct Row {
    what: &'static str,
    times: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_outage_the_sale_goes_on() {
    let repetitions = std::env::var("RECOVERY_TIMES").map_or(1, |text| text.parse().expect("a number"));
    let (mut redis, mut rabbit, mut postgres) =
        own(|| (servers::redis(), servers::rabbitmq(), servers::postgres())).await;
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port);
    let amqp = format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port);
    let services = Services::on(&database, &format!("redis://127.0.0.1:{}", redis.port), &amqp).await;
    let file = catalogue(UNITS);
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let insert = format!(
        "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at)
         SELECT gen_random_uuid(), 'limited-001', 'sold-' || unit, unit, now() FROM generate_series(1, {SOLD}) AS unit"
    );
    services.sql().await.batch_execute(&insert).await.expect("rows");
    let queue = format!("{}.purchases", services.prefix);
    eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
    let system = System { services, api, client: client(), buyers: std::cell::Cell::new(0) };

    let mut rows = [
        "Redis restarted",
        "Redis wiped, 10,000 sold",
        "RabbitMQ restarted, until `broker` again",
        "PostgreSQL restarted, until rows again",
    ]
    .map(|what| Row { what, times: Vec::new() });
    for _ in 0..repetitions {
        // Until the leader has noticed the rows that were put in, or the last outage is over.
        system.sells().await;
        redis = blocking(redis, |redis: &mut Server| {
            redis.kill();
            redis.start();
        })
        .await;
        rows[0].times.push(system.sells().await);
        redis = blocking(redis, |redis: &mut Server| {
            redis.kill();
            redis.wipe();
            redis.start();
        })
        .await;
        rows[1].times.push(system.sells().await);
        rabbit = blocking(rabbit, |rabbit: &mut Rabbit| {
            rabbit.node.kill();
            rabbit.node.start();
        })
        .await;
        rows[2].times.push(system.sells().await);
        postgres = blocking(postgres, |postgres: &mut Server| {
            postgres.kill();
            postgres.start();
        })
        .await;
        rows[3].times.push(system.records().await);
    }
    println!("| after | median | least | most |\n|---|---|---|---|");
    for Row { what, mut times } in rows {
        times.sort_unstable();
        let shown = [times[times.len() / 2], times[0], times[times.len() - 1]];
        let shown = shown.map(|time| format!("{:.1} s", time.as_secs_f64()));
        println!("| {what} | {} |", shown.join(" | "));
    }
    drop((redis, rabbit, postgres));
}

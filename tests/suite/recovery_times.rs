//! How long it takes until a sale goes on after an outage, from the moment at which the server answers again. That it
//! does go on is what the test asserts; `scripts/recovery-times` shows the times.

use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use serde_json::json;

use crate::{
    distributed::catalogue,
    faults::rabbitmq::with_stalled_queue,
    support::{
        SOON, eventually,
        http::{client, ready, try_send},
        replicated::{Replicated, field, follow, promote},
        servers::{self, Rabbit, Server},
        services::Services,
        stage::{blocking, own},
    },
};

const UNITS: u32 = 20_000;
const SOLD: u32 = 10_000;
/// What is promised of an orderly failover, and held where it is measured.
const FAILED_OVER: &str = "Redis failed over, the former primary alive";
const FAILED_OVER_MAX: Duration = Duration::from_secs(3);

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

    /// Waits until the state is of the primary as it is now: attaching a replica may have changed its history's name.
    async fn is_of(&self, redis: &Replicated) {
        let (mut primary, sale) = (redis.at_primary().await, self.services.key("limited-001", "sale"));
        eventually("the state is of this primary", SOON, async || {
            let now =
                [field(&mut primary, "run_id:").await, field(&mut primary, "master_replid:").await].join(" ");
            let mut hget = redis::cmd("HGET");
            let made_on = hget.arg(&sale).arg("server").query_async::<Option<String>>(&mut primary);
            (made_on.await.expect("HGET")? == now).then_some(())
        })
        .await;
    }
}

async fn restarted_redis(mut redis: Replicated, is_wiped: bool) -> Replicated {
    redis.primary = blocking(redis.primary, move |primary: &mut Server| {
        primary.kill();
        if is_wiped {
            primary.wipe();
        }
        primary.start();
    })
    .await;
    redis
}

async fn restarted_rabbitmq(rabbit: Rabbit) -> Rabbit {
    blocking(rabbit, |rabbit: &mut Rabbit| {
        rabbit.node.kill();
        rabbit.node.start();
    })
    .await
}

/// Changes the roles in order: the former primary lives on as a replica, with its connections.
async fn failed_over(mut redis: Replicated) -> Replicated {
    redis.fail_over().await;
    redis.to_clients.lead_to(redis.replica.port);
    std::mem::swap(&mut redis.primary, &mut redis.replica);
    redis
}

/// Makes the primary a replica for a moment, with all its connections.
async fn failed_back(redis: &Replicated) {
    let mut primary = redis.at_primary().await;
    promote(&mut redis.at_replica().await).await;
    follow(&mut primary, redis.replica.port).await;
    promote(&mut primary).await;
}

/// The times after each kind of outage, in the order of the table.
struct Times(Vec<(&'static str, Vec<Duration>)>);

impl Times {
    fn add(&mut self, what: &'static str, time: Duration) {
        match self.0.iter_mut().find(|(row, _)| *row == what) {
            Some((_, times)) => times.push(time),
            None => self.0.push((what, vec![time])),
        }
    }

    fn most(&self, what: &str) -> Option<Duration> {
        self.0.iter().find(|(row, _)| *row == what)?.1.iter().max().copied()
    }

    fn print(&self) {
        println!("| after | median | least | most |\n|---|---|---|---|");
        for (what, times) in &self.0 {
            let mut times = times.clone();
            times.sort_unstable();
            let shown = [times[times.len() / 2], times[0], times[times.len() - 1]];
            let shown = shown.map(|time| format!("{:.1} s", time.as_secs_f64()));
            println!("| {what} | {} |", shown.join(" | "));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_outage_the_sale_goes_on() {
    let measured: Option<u32> =
        std::env::var("RECOVERY_TIMES").ok().map(|text| text.parse().expect("a number"));
    let mut redis = Replicated::start().await;
    let (mut rabbit, mut postgres) = own(|| (servers::rabbitmq(), servers::postgres())).await;
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port);
    let amqp = format!("amqp://guest:guest@127.0.0.1:{}", rabbit.node.port);
    let services =
        Services::on(&database, &format!("redis://127.0.0.1:{}", redis.to_clients.port), &amqp).await;
    let file = catalogue(UNITS);
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let insert = format!(
        "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
         SELECT gen_random_uuid(), 'limited-001', 'sold-' || unit, unit, now(), 1 FROM generate_series(1, {SOLD}) AS unit"
    );
    services.sql().await.batch_execute(&insert).await.expect("rows");
    let queue = format!("{}.purchases", services.prefix);
    eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
    let system = System { services, api, client: client(), buyers: std::cell::Cell::new(0) };

    let mut times = Times(Vec::new());
    for _ in 0..measured.unwrap_or(1) {
        // A replica that connects again would change the history's name, and cause another rebuild.
        promote(&mut redis.at_replica().await).await;
        // Until the leader has noticed the rows that were put in, or the last outage is over.
        system.is_of(&redis).await;
        system.sells().await;
        redis = restarted_redis(redis, false).await;
        times.add("Redis restarted", system.sells().await);
        redis = restarted_redis(redis, true).await;
        times.add("Redis wiped, 10,000 sold", system.sells().await);
        follow(&mut redis.at_replica().await, redis.primary.port).await;
        system.is_of(&redis).await;
        system.sells().await;
        redis = failed_over(redis).await;
        times.add(FAILED_OVER, system.sells().await);
        failed_back(&redis).await;
        times.add("Redis failed over and back", system.sells().await);
        rabbit = restarted_rabbitmq(rabbit).await;
        times.add("RabbitMQ restarted, until durability `broker` again", system.sells().await);
        rabbit = with_stalled_queue(&system.services, rabbit).await;
        times.add("RabbitMQ wiped, with a queue that never confirms, the same", system.sells().await);
        // The dead-letter queue, declared a moment earlier, answers or not.
        let (channel, dead) = (system.services.channel().await, format!("{queue}.dead"));
        channel.queue_delete(dead.into(), QueueDeleteOptions::default()).await.expect("delete");
        eventually("the queue is noted", SOON, async || rabbit.remembers(&queue).then_some(())).await;
        postgres = blocking(postgres, |postgres: &mut Server| {
            postgres.kill();
            postgres.start();
        })
        .await;
        times.add("PostgreSQL restarted, until rows again", system.records().await);
    }
    times.print();
    if measured.is_some() {
        assert!(times.most(FAILED_OVER) < Some(FAILED_OVER_MAX), "{FAILED_OVER}: too long");
    }
    drop((redis, rabbit, postgres));
}

//! No secret of the configuration is shown, whatever drivers and servers say: in no log, answer or console.

use serde_json::Value;

use crate::support::{
    SOON, eventually,
    http::{client, try_send},
    process::Flashsale,
    servers::{self, Server},
    services::Services,
    stage::{blocking, own},
};

/// A password that needs escaping everywhere, as it is and as it stands in a URL.
const PASSWORD: &str = "s3cret/\"\\é%:@";
const ENCODED: &str = "s3cret%2F%22%5C%C3%A9%25%3A%40";
/// What every form of it begins with; and as drivers print bytes.
const MARKS: [&str; 2] = ["s3cret", "115, 51, 99"];

fn assert_hidden(what: &str, said: &str) {
    for mark in MARKS {
        let line = said.lines().find(|line| line.contains(mark));
        assert!(line.is_none(), "{what} shows the password: {:.400}", line.unwrap_or_default());
    }
}

/// Redis and PostgreSQL that want passwords.
async fn locked_servers() -> (Server, Server, Services) {
    let (redis, mut postgres) = own(|| (servers::redis(), servers::postgres())).await;
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port);
    let rules = postgres.dir().join("rules.conf");
    let text = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&rules, text).expect("rules");
    postgres = blocking(postgres, move |server| {
        server.stop();
        server.start_with(&["-c", &format!("hba_file={}", rules.display())]);
    })
    .await;
    let services =
        Services::on(&database, &format!("redis://127.0.0.1:{}", redis.port), &Services::urls().amqp).await;
    let mut locking = redis::cmd("CONFIG");
    locking.arg("SET").arg("requirepass").arg("another");
    locking.exec_async(&mut services.redis().await).await.expect("CONFIG SET");
    (redis, postgres, services)
}

#[tokio::test(flavor = "multi_thread")]
async fn are_hidden_when_every_server_refuses_them() {
    let (redis, postgres, services) = locked_servers().await;
    let amqp = Services::urls().amqp;
    let (_, amqp_host) = amqp.rsplit_once('@').expect("a user");
    let urls = [
        (
            "DATABASE_URL",
            format!("postgres://shop:{ENCODED}@127.0.0.1:{}/{}", postgres.port, services.prefix),
        ),
        ("REDIS_URL", format!("redis://:{ENCODED}@127.0.0.1:{}", redis.port)),
        ("AMQP_URL", format!("amqp://guest:{ENCODED}@{amqp_host}")),
    ];
    let urls = urls.each_ref().map(|(name, url)| (*name, url.as_str()));
    // RabbitMQ is asked once the ledger could be read: with the right URL of the database.
    let reached = [("DATABASE_URL", services.database_url.as_str())];
    for (filter, format, database) in [
        ("info", "text", &[][..]),
        ("info", "json", &[]),
        ("trace", "text", &[]),
        ("trace", "json", &[]),
        ("info", "text", &reached),
        ("info", "json", &reached),
        ("trace", "text", &reached),
        ("trace", "json", &reached),
    ] {
        let variables = [&urls[..], &log(filter, format), database].concat();
        let processes = ["work", "serve", "web"].map(|command| services.spawn(&[command], &variables));
        let [work, serve, web] = &processes;
        // Each server that was asked has refused.
        let refusal = if database.is_empty() { "password authentication failed" } else { "ACCESS_REFUSED" };
        for process in &processes {
            process.logs(refusal).await;
            process.logs("AuthenticationFailed").await;
        }
        for base in [serve.api().await, work.health().await, web.shop().await] {
            assert_hidden(
                &base,
                &text(&format!("{base}/readyz"), |said| said["dependencies"].is_array()).await,
            );
        }
        let console = format!("{}/console/snapshot", web.console().await);
        let has_outages = |said: &Value| said["at"].as_i64().is_some_and(|at| at > 0);
        assert_hidden("console", &text(&console, has_outages).await);
        for process in &processes {
            assert_hidden("a log", &process.log());
            assert_is_json(&process.log(), format);
        }
    }
    let mut audit = services.spawn(&["audit"], &urls);
    assert_eq!(audit.ended(SOON).await.code(), Some(2));
    audit.logs("flashsale: no result").await;
    assert_hidden("a command", &audit.log());
}

fn log(filter: &'static str, format: &'static str) -> [(&'static str, &'static str); 3] {
    [("FLASHSALE_LOG_FILTER", filter), ("FLASHSALE_LOG_FORMAT", format), ("RUST_BACKTRACE", "full")]
}

/// Hiding leaves JSON whole.
fn assert_is_json(log: &str, format: &str) {
    for line in log.lines().filter(|_| format == "json") {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {line:.600}");
    }
}

/// The body of an answer, once it is as wanted.
async fn text(url: &str, wanted: impl Fn(&Value) -> bool) -> String {
    eventually(url, SOON, async || {
        let answer = try_send(client().get(url)).await?;
        wanted(&answer.body).then(|| answer.body.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn that_are_right_are_hidden_as_well() {
    let (redis, _postgres, services) = locked_servers().await;
    let mut setting = redis::cmd("CONFIG");
    setting.arg("SET").arg("requirepass").arg(PASSWORD);
    let client = redis::Client::open(format!("redis://:another@127.0.0.1:{}", redis.port)).expect("URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    setting.exec_async(&mut connection).await.expect("CONFIG SET");
    let role = format!("CREATE ROLE shop LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
    services.sql().await.batch_execute(&role).await.expect("a role");
    let (_, host) = services.database_url.rsplit_once('@').expect("a user");
    let urls = [
        ("DATABASE_URL", format!("postgres://shop:{ENCODED}@{host}")),
        ("REDIS_URL", format!("redis://:{ENCODED}@127.0.0.1:{}", redis.port)),
    ];
    for format in ["text", "json"] {
        let variables: Vec<_> =
            urls.iter().map(|(name, url)| (*name, url.as_str())).chain(log("trace", format)).collect();
        let processes: [Flashsale; 2] =
            ["work", "serve"].map(|command| services.spawn(&[command], &variables));
        crate::support::http::ready(&processes[0].health().await).await;
        crate::support::http::ready(&processes[1].api().await).await;
        for process in &processes {
            assert_hidden("a log", &process.log());
            assert_is_json(&process.log(), format);
        }
    }
}

//! Each process as a user that has nothing but what its role needs: the statements of `config/roles`.

use std::process::Command;

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::{Value, json};

use crate::{
    distributed::{Own, catalogue, drained},
    purchases::operate,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        servers,
        services::Services,
        stage::{blocking, own, with_rabbitmq},
    },
};

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/roles");
const PASSWORD: &str = "not-a-default";

/// The same place, as another user of database and RabbitMQ. All have one user of Redis.
fn user(own: &Own, services: &Services, name: &str) -> Services {
    let Own { redis, rabbit, postgres } = own;
    let (_, database) = services.database_url.rsplit_once('/').expect("a database");
    Services {
        database_url: format!("postgres://{name}@127.0.0.1:{}/{database}", postgres.port),
        redis_url: format!("redis://flashsale:{PASSWORD}@127.0.0.1:{}", redis.port),
        amqp_url: format!("amqp://{name}:{PASSWORD}@127.0.0.1:{}", rabbit.node.port),
        prefix: services.prefix.clone(),
    }
}

/// Runs the statements for the database on it.
fn grant(services: &Services) {
    let mut psql = Command::new("psql");
    psql.args(["-d", &services.database_url, "-f", &format!("{ROLES}/postgresql.sql")]);
    let ended = psql.output().expect("psql");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Runs the statements for RabbitMQ and Redis.
async fn make_users(own: Own, prefix: &str) -> Own {
    let (redis, prefix) = (own.redis.port.to_string(), prefix.to_owned());
    blocking(own, move |own| {
        let passwords = ["SERVE_PASSWORD", "WORK_PASSWORD", "OPERATOR_PASSWORD"].map(|name| (name, PASSWORD));
        let variables = [&passwords[..], &[("FLASHSALE_PREFIX", prefix.as_str())]].concat();
        own.rabbit.script(&format!("{ROLES}/rabbitmq.sh"), &variables);
        let mut script = Command::new("sh");
        script.arg(format!("{ROLES}/redis.sh")).args(["-p", &redis]);
        script.env("REDIS_PASSWORD", PASSWORD).env("FLASHSALE_PREFIX", &prefix);
        let ended = script.output().expect("sh");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    })
    .await
}

async fn succeeds(services: &Services, arguments: &[&str]) -> String {
    let (code, said) = operate(services, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

/// A sale from its preparation to its audit, with a loss of Redis and every command of an operator.
#[tokio::test(flavor = "multi_thread")]
async fn of_processes_and_operators_are_enough_for_a_sale() {
    let (servers, root) = Own::start().await;
    let sql = root.sql().await;
    let make_owner =
        format!("CREATE ROLE flashsale_owner LOGIN; ALTER DATABASE {} OWNER TO flashsale_owner", root.prefix);
    sql.batch_execute(&make_owner).await.expect("an owner");
    let servers = make_users(servers, &root.prefix).await;
    let (file, more) = (catalogue(20), catalogue(25));
    let dearer =
        std::fs::read_to_string(more.path()).expect("read").replace("price = \"1\"", "price = \"2\"");
    std::fs::write(more.path(), dearer).expect("write");
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let owner = user(&servers, &root, "flashsale_owner");
    assert!(owner.spawn(&["migrate"], &variables).ended(SOON).await.success());
    grant(&root);
    grant(&root); // again
    let [serve_user, work_user, operator] =
        ["serve", "work", "operator"].map(|role| user(&servers, &root, &format!("flashsale_{role}")));

    // Before a user who may declare has been there.
    let serve = serve_user.spawn(&["serve"], &variables);
    let line = serve.logs("rabbitmq: its queues are not declared yet").await;
    assert!(line.contains("flashsale topology") && line.contains("flashsale_serve"), "{line}");
    let said = succeeds(&work_user, &["topology"]).await;
    assert!(said.contains(&format!("declared: the exchange {}.purchases", root.prefix)), "{said}");
    serve.logs("rabbitmq is up").await;
    let (web, work) = (serve_user.spawn(&["web"], &variables), work_user.spawn(&["work"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    let shop = web.shop().await;
    ready(&shop).await;
    let client = client();
    let mut bought = String::new();
    for number in (1..=5).rev() {
        let answer = buy(&client, &api, &format!("buyer-{number}")).await.body;
        assert_eq!((&answer["unit"], &answer["durability"]), (&json!(6 - number), &json!("broker")));
        bought = answer["purchaseId"].as_str().expect("id").to_owned();
    }
    drained(&root, 5).await;
    redis::cmd("FLUSHALL").exec_async(&mut root.redis().await).await.expect("FLUSHALL");
    eventually("rebuilt", SOON, async || {
        (buy(&client, &api, "buyer-6").await.body["unit"] == json!(6)).then_some(())
    })
    .await;
    drained(&root, 6).await;

    operate_on(&operator, &root, &bought, more.path().to_str().expect("path")).await;

    // A change of the prefix sees processes of other roles.
    let other = [("FLASHSALE_PREFIX", "another")];
    owner.spawn(&["migrate", "--change-prefix"], &other).refused(1, "end them first").await;
    let console = web.console().await;
    let snapshot = get(&format!("{console}/console/snapshot")).await.body;
    // The catalogue file of the processes is older than what an operator has applied.
    let dependencies = snapshot["dependencies"].as_array().expect("a list");
    let mut services = dependencies.iter().filter(|one| one["subject"] != json!("catalogue"));
    assert!(services.all(|one| one["outages"] == json!([])), "{snapshot}");
    for process in [&serve, &web, &work] {
        for words in ["permission denied", "NOPERM", "ACCESS_REFUSED - read", "can't run this command"] {
            assert!(!process.log().contains(words), "{}", process.log());
        }
    }
    have_no_more(&[&serve_user, &work_user, &operator], &root).await;
    is_claimed_by_one_system(&servers, &root, [serve, web, work]).await;
}

/// Every command of an operator, on a sale in which six units are sold, of which `bought` is one.
async fn operate_on(operator: &Services, root: &Services, bought: &str, more: &str) {
    let users = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(users.path(), "earlier\n").expect("write");
    let users = users.path().to_str().expect("path");
    for command in [
        &["pause"][..],
        &["resume"],
        &["products", "list"],
        &["products", "apply", more, "--yes"],
        &["purchases", "cancel", bought, "--reason", "r"],
        &["purchases", "erase", "buyer-2"],
        &["purchases", "import", users],
        &["purchases", "export"],
        &["reconcile", "--fix"],
    ] {
        succeeds(operator, command).await;
    }
    root.publish(b"{}").await;
    let letters = eventually("a dead letter", SOON, async || {
        let said = succeeds(operator, &["dead-letters", "list"]).await;
        (!said.contains("0 dead letters")).then_some(said)
    })
    .await;
    let id = letters.lines().nth(1).and_then(|line| line.split(' ').next()).expect("an id").to_owned();
    succeeds(operator, &["dead-letters", "replay", &id]).await;
    eventually("dead-lettered again", SOON, async || (root.depth("purchases.dead").await == 1).then_some(()))
        .await;
    succeeds(operator, &["dead-letters", "discard", &id, "--reason", "r"]).await;
    let said = succeeds(operator, &["audit", "--wait", "20"]).await;
    assert!(said.contains("25 = 20 remaining + 0 in flight + 5 in the ledger"), "{said}");
    succeeds(operator, &["reconcile"]).await;
}

async fn have_no_more(users: &[&Services; 3], root: &Services) {
    for services in users {
        for statement in
            ["CREATE TABLE mine ()", "DELETE FROM purchases", "ALTER TABLE products ADD COLUMN x int"]
        {
            assert!(services.sql().await.batch_execute(statement).await.is_err(), "{statement}");
        }
        for command in [redis::cmd("SET").arg("other").arg(1), redis::cmd("CONFIG").arg("GET").arg("dir")] {
            let refused = command.query_async::<redis::Value>(&mut services.redis().await).await;
            assert_eq!(refused.expect_err("refused").code(), Some("NOPERM"));
        }
    }
    let name = format!("{}.purchases.mine", root.prefix);
    for services in [users[0], users[2]] {
        let channel = services.channel().await;
        let declared = channel.queue_declare(
            name.as_str().into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        );
        assert!(declared.await.is_err(), "{}", services.amqp_url);
    }
    let written = users[0].sql().await.batch_execute("UPDATE products SET paused = true").await;
    assert!(written.is_err(), "serve may only read");
}

/// Without a permission to declare, a process knows a prefix that another system has; and the claim of a prefix is gone
/// with the exchange that an operator deletes.
async fn is_claimed_by_one_system(servers: &Own, root: &Services, processes: [Flashsale; 3]) {
    let other = Services::on(&root.database_url, &root.redis_url, &root.amqp_url).await;
    let other = Services { prefix: root.prefix.clone(), ..other };
    assert!(other.spawn(&["migrate"], &[]).ended(SOON).await.success());
    grant(&other);
    let foreign = user(servers, &other, "flashsale_serve").spawn(&["serve"], &[]);
    foreign.logs("another flashsale system uses the prefix").await;
    drop((foreign, processes));
    let system = root.system().await;
    let claim = format!("{}.owner.{system}", root.prefix);
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let is_there = async || {
        let (channel, claim) = (root.channel().await, claim.as_str().into());
        channel.exchange_declare(claim, ExchangeKind::Direct, passive, FieldTable::default()).await.is_ok()
    };
    assert!(is_there().await, "the claim was looked for under its name");
    let owner = format!("{}.owner", root.prefix);
    let deleting = root.channel().await;
    deleting.exchange_delete(owner.into(), ExchangeDeleteOptions::default()).await.expect("deleted");
    eventually("the claim is gone", SOON, async || (!is_there().await).then_some(())).await;
}

/// What a user lacks is named by the process that needs it, once, and at /readyz.
#[tokio::test(flavor = "multi_thread")]
async fn that_lack_something_are_told_what_it_is() {
    let rabbit = own(servers::rabbitmq).await;
    let root = with_rabbitmq(rabbit.node.port).await;
    let poor = format!("{}_poor", root.prefix);
    let (_, database) = root.database_url.rsplit_once('@').expect("a user");
    let as_poor = format!("postgres://{poor}@{database}");
    root.sql().await.batch_execute(&format!("CREATE ROLE {poor} LOGIN")).await.expect("a role");

    // Migrations are missing.
    let line = root
        .spawn(&["work"], &[("DATABASE_URL", as_poor.as_str())])
        .refused(1, "flashsale: the database lacks 1 migration(s)")
        .await;
    assert!(line.contains("run `flashsale migrate` as the user that owns the tables"), "{line}");
    // Nothing is missing, and nothing is granted.
    assert!(root.spawn(&["migrate"], &[]).ended(SOON).await.success());
    let grants = format!("GRANT SELECT ON __diesel_schema_migrations, system TO {poor}");
    root.sql().await.batch_execute(&grants).await.expect("grants");
    let work = root.spawn(&["work"], &[("DATABASE_URL", as_poor.as_str())]);
    let line = work.logs("postgresql: it refuses the user").await;
    assert!(line.contains("permission denied for table products"), "{line}");
    drop(work);

    assert!(root.spawn(&["topology"], &[]).ended(SOON).await.success());
    let vhost_user = poor.clone();
    let rabbit = blocking(rabbit, move |rabbit| {
        rabbit.control(&["add_user", &vhost_user, PASSWORD]);
        rabbit.control(&["set_permissions", &vhost_user, ".*", ".*", "^$"]);
    })
    .await;
    let amqp = format!("amqp://{poor}:{PASSWORD}@127.0.0.1:{}", rabbit.node.port);
    let work = root.spawn(&["work"], &[("AMQP_URL", amqp.as_str())]);
    let line = work.logs("rabbitmq-consumer: it refuses the user").await;
    assert!(line.contains(&format!("queue '{}.purchases'", root.prefix)) && line.contains(&poor), "{line}");
    assert!(line.contains("docs/OPERATIONS.md"), "{line}");
    let health = work.health().await;
    eventually("readiness says so", SOON, async || {
        let body = get(&format!("{health}/readyz")).await.body;
        consumer_of(&body).contains("it refuses the user").then_some(())
    })
    .await;

    let acl = ["ACL", "SETUSER", &poor, "on", "nopass", "~*", "+@all", "-info"];
    let mut setting = redis::cmd(acl[0]);
    setting.arg(&acl[1..]).exec_async(&mut root.redis().await).await.expect("ACL SETUSER");
    let (_, redis) = root.redis_url.rsplit_once('/').expect("a URL");
    let redis = format!("redis://{poor}:any@{redis}");
    let serve = root.spawn(&["serve"], &[("REDIS_URL", redis.as_str())]);
    let line = serve.logs("redis: it refuses the user").await;
    assert!(line.contains("'info'"), "{line}");
}

fn consumer_of(readiness: &Value) -> String {
    let all = readiness["dependencies"].as_array().cloned().unwrap_or_default();
    all.iter().filter(|one| one["name"] == json!("rabbitmq-consumer")).map(Value::to_string).collect()
}

/// The user of Redis may run what the scripts and the program call.
#[test]
fn of_redis_may_run_every_command_of_the_scripts() {
    let granted = std::fs::read_to_string(format!("{ROLES}/redis.sh")).expect("a script");
    let granted: Vec<_> = granted.split_whitespace().filter_map(|word| word.strip_prefix('+')).collect();
    let mut calls = 0;
    for (name, text) in flashsale::admission::scripts() {
        for call in text.split("call('").skip(1) {
            let command = call.split('\'').next().expect("a command").to_lowercase();
            calls += 1;
            assert!(granted.contains(&command.as_str()), "{name} calls {command}");
        }
    }
    assert!(calls > 50, "{calls} calls");
}
